package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/test/internal/rig"
)

// integrating is the page that a stranger integrates from.
func integrating(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/integrating.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// blocks are the fenced blocks of a page in one language.
func blocks(page, language string) (out []string) {
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// programOf writes the one program of the page in a language that has a text to
// a file of that name.
func programOf(t *testing.T, language, text, name string) (file string) {
	t.Helper()
	code := slices.DeleteFunc(blocks(integrating(t), language), func(block string) bool { return !strings.Contains(block, text) })
	if len(code) != 1 {
		t.Fatalf("the page has %d programs in %s with %s", len(code), language, text)
	}
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(code[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whoever types the commands of the page, top to bottom, buys a coffee.
func TestIntegratingByThePage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		rig.NotRun(t, "the commands of docs/integrating.md: no curl on this machine")
	}
	script := strings.Join(blocks(integrating(t), "sh"), "\necho\n")
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "FEDDI="+system.server.URL)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	printed, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s\n%s", err, printed, stderr.Bytes())
	}
	out := string(printed)
	if n := strings.Count(out, `"ok":false`); n != 1 || !strings.Contains(out, `"code":"INSUFFICIENT_FUNDS"`) {
		t.Errorf("%d calls failed, where only the first payment should:\n%s", n, out)
	}
	if n := strings.Count(out, `"ok":true`); n < 17 {
		t.Errorf("only %d answers were printed:\n%s", n, out)
	}
	for _, there := range []string{
		`"debited_promo_minor":250`, `"debited_actual_minor":925`, `"actual_minor":1575`, `"promo_available_minor":58`, `"idempotency_replayed":true`,
		"Caffe latte", "11.75", `"mode":"sandbox"`, `"status":"ok"`, `"secret":"whsec_`, `"events":[`,
	} {
		if !strings.Contains(out, there) {
			t.Errorf("nothing printed has %s:\n%s", there, out)
		}
	}
	if id := regexp.MustCompile(`"session_id":"(cs_[0-9a-z]+)"`).FindAllStringSubmatch(out, -1); len(id) == 0 {
		t.Errorf("no session was printed:\n%s", out)
	}
}

// The programs that the page shows accept a delivery of ours and nothing else.
func TestVerifyingByThePage(t *testing.T) {
	t.Parallel()
	for language, run := range map[string]struct {
		program, file string
		arguments     []string
	}{
		"go": {"go", "verify.go", []string{"run"}}, "python": {"python3", "verify.py", nil}, "js": {"node", "verify.js", nil},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(run.program)
			if err != nil {
				rig.NotRun(t, "the %s of docs/integrating.md: no %s on this machine", language, run.program)
			}
			file := programOf(t, language, "whsec_", run.file)
			command := append(slices.Clone(run.arguments), file)
			for what, d := range deliveries(t) {
				cmd := exec.CommandContext(t.Context(), program, command...)
				cmd.Dir = filepath.Dir(file)
				cmd.Stdin = strings.NewReader(d.body)
				cmd.Env = append(os.Environ(), "GOFLAGS=", "SECRET="+d.secret, "ID="+d.id, "TIMESTAMP="+d.timestamp, "SIGNATURE="+d.signature)
				printed, err := cmd.CombinedOutput()
				if (err == nil) != d.ours {
					t.Errorf("%s: ours is %v, the program says %v\n%s", what, d.ours, err, printed)
				}
			}
		})
	}
}

// The program of the page tries an offer on the sessions there were, and tells
// how far it is.
func TestTryingByThePage(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550164")
	for range 2 {
		session := s.session()
		s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
		s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
		s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", programOf(t, "go", "StreamEvaluateOffers", "try.go"))
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "FEDDI="+s.server, "KEY="+s.key.value, "MERCHANT="+s.made.text("data.merchant_id"))
	printed, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	lines := strings.Split(string(printed), "\r")
	if len(lines) < 3 || lines[0] != "0 of 2 sessions" || lines[len(lines)-2] != "2 of 2 sessions" ||
		lines[len(lines)-1] != "2 of 2 sessions change: 500 in place of 200 USD\n" {
		t.Errorf("it printed %q", printed)
	}
}

// signedDelivery is a delivery as it arrives, with whether it is ours.
type signedDelivery struct {
	secret, id, timestamp, signature, body string
	ours                                   bool
}

func deliveries(t *testing.T) map[string]signedDelivery {
	t.Helper()
	const secret, other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_QmFzZTY0IG9mIGFub3RoZXIgc2VjcmV0"
	sign := func(secret, id string, at time.Time, body string) string {
		w, err := standard.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		text, err := w.Sign(id, at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	now := time.Now()
	body := `{"type":"payment.succeeded","data":{"note":"naïve ☕"}}`
	good := signedDelivery{secret, "evt_1", strconv.FormatInt(now.Unix(), 10), sign(secret, "evt_1", now, body), body, true}
	out := map[string]signedDelivery{"ours": good}
	vary := func(what string, ours bool, change func(d *signedDelivery)) {
		d := good
		change(&d)
		d.ours = ours
		out[what] = d
	}
	vary("while a secret is rotated", true, func(d *signedDelivery) { d.signature = sign(other, "evt_1", now, body) + " " + d.signature })
	vary("another body", false, func(d *signedDelivery) { d.body += " " })
	vary("another id", false, func(d *signedDelivery) { d.id = "evt_2" })
	vary("another secret", false, func(d *signedDelivery) { d.secret = other })
	vary("no signature", false, func(d *signedDelivery) { d.signature = "" })
	vary("an old one", false, func(d *signedDelivery) {
		old := now.Add(-time.Hour)
		d.timestamp, d.signature = strconv.FormatInt(old.Unix(), 10), sign(secret, "evt_1", old, body)
	})
	vary("no time", false, func(d *signedDelivery) { d.timestamp = "now" })
	return out
}

// The page's table of errors is the system's: every code, its status.
func TestErrorsByThePage(t *testing.T) {
	t.Parallel()
	page, listed := integrating(t), map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([0-9]{3}) \\| `([A-Z_]+)` \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(page, -1) {
		meaning, known := fault.Codes()[fault.Code(row[2])]
		if listed[row[2]] = true; !known || fmt.Sprint(meaning.Status) != row[1] || meaning.What != row[3] {
			t.Errorf("the page says %s of %s, the system %+v", row[1:], row[2], meaning)
		}
		if meaning.NewKey != strings.Contains(row[4], "**new** idempotency key") {
			t.Errorf("%s: what the page says of its key is not so", row[2])
		}
	}
	for code := range fault.Codes() {
		if !listed[string(code)] {
			t.Errorf("the page does not say what to do about %s", code)
		}
	}
}
