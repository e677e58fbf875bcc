// Package load_test keeps `feddi bench` working: every scenario runs for a
// second or two with the real binary, on a database of its own. What is
// asserted is sanity (every answer, every payment, every byte), never speed: a
// busy machine must not fail a test.
package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// limit bounds one scenario on a very busy machine.
const limit = 3 * time.Minute

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "feddi-load-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "feddi")
	out, err := exec.Command("go", "build", "-o", path, "github.com/feddi/feddi/cmd/feddi").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path)) // a temporary folder
	}
	os.Exit(status)
}

// bench runs `feddi bench args` on the database of dsn (empty: one that it
// starts by itself) and decodes what it prints.
func bench[T any](t *testing.T, dsn string, args ...string) T {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append(append([]string{"bench"}, args...), "--json")...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DATABASE_URL=") })
	if dsn != "" {
		cmd.Env = append(cmd.Env, "DATABASE_URL="+dsn)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("feddi bench %v: %v\n%s\n%s", args, err, errs.Bytes(), out.Bytes())
	}
	var r T
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("feddi bench %v printed no JSON: %v\n%.500s", args, err, out.Bytes())
	}
	return r
}

// ledger is the verdict on the books.
type ledger struct {
	Sound    bool
	Findings int
	Examined struct{ Entries, Postings int64 }
}

type payments struct {
	Limit []struct {
		PerSecond float64 `json:"per_second"`
	}
	Rows []struct {
		Connections int
		OneMerchant bool             `json:"one_merchant"`
		History     int              `json:"after_postings"`
		PerSecond   float64          `json:"per_second"`
		Payments    int64            `json:"payments"`
		Created     int64            `json:"answered_201"`
		Others      map[string]int64 `json:"other_answers"`
	}
	Acknowledged, Stored int64
	TwoLots              float64 `json:"share_spending_two_or_more_lots"`
	Ledger               ledger
}

// check holds whatever the options: every answer is a payment, each is stored
// once, and the books balance.
func (r *payments) check(t *testing.T, rows int) {
	t.Helper()
	limits := 2 + rows // before the first row, with one client too, and behind each
	for _, row := range r.Rows {
		if row.History > 0 {
			limits++ // before it, too: what was written meanwhile took minutes
		}
	}
	if len(r.Rows) != rows || len(r.Limit) != limits {
		t.Fatalf("%d rows and %d limits, want %d and %d", len(r.Rows), len(r.Limit), rows, limits)
	}
	for _, l := range r.Limit {
		if l.PerSecond <= 0 {
			t.Errorf("a limit of %v per second", l.PerSecond)
		}
	}
	var created int64
	for _, row := range r.Rows {
		created += row.Created
		if !few(row.Others, row.Created) || row.Payments == 0 || row.Created < row.Payments || row.PerSecond <= 0 {
			t.Errorf("row %+v", row)
		}
	}
	if r.Acknowledged != created || r.Stored != created {
		t.Errorf("%d answered 201, %d acknowledged, %d stored", created, r.Acknowledged, r.Stored)
	}
	if r.TwoLots < 0.2 || r.TwoLots > 0.6 {
		t.Errorf("a share of %.2f spent two lots or more; a third should", r.TwoLots)
	}
	if !r.Ledger.Sound || r.Ledger.Examined.Entries < created {
		t.Errorf("ledger %+v after %d payments", r.Ledger, created)
	}
}

// few allows what a busy machine may answer for one payment in twenty: typed,
// retryable refusals (503 after three lost races or a late lock, 429 of a full
// queue). Any other answer is a defect.
func few(others map[string]int64, created int64) bool {
	var n int64
	for answer, count := range others {
		if !strings.HasPrefix(answer, "503 ") && !strings.HasPrefix(answer, "429 ") {
			return false
		}
		n += count
	}
	return n*20 <= created
}

func TestPayments(t *testing.T) {
	t.Parallel()
	plot := filepath.Join(t.TempDir(), "plot.svg")
	r := bench[payments](t, pgtest.New(t).DSN(), "payments", "--duration", "1s", "--connections", "1,8", "--wallets", "60",
		"--merchants", "3", "--max-payments", "8000", "--plot", plot)
	r.check(t, 3)
	if last := r.Rows[2]; !last.OneMerchant || last.Connections != 8 || r.Rows[0].OneMerchant {
		t.Errorf("the last row is not the one of one merchant: %+v", r.Rows)
	}
	raw, err := os.ReadFile(plot)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(raw, new(struct{ XMLName xml.Name })); err != nil || !bytes.Contains(raw, []byte("connections")) {
		t.Errorf("the plot is no SVG: %v", err)
	}
}

func TestPaymentsInSessions(t *testing.T) {
	t.Parallel()
	r := bench[payments](t, pgtest.New(t).DSN(), "payments", "--sessions", "--one-merchant", "--duration", "1s", "--connections", "8",
		"--wallets", "60", "--max-payments", "8000")
	r.check(t, 1)
}

func TestOffers(t *testing.T) {
	t.Parallel()
	r := bench[struct {
		Rows []struct {
			Offers, Feeds   int64
			ShownPerFeed    float64 `json:"shown_per_feed"`
			WithheldPerFeed float64 `json:"withheld_per_feed"`
			Heap            int64   `json:"heap_bytes"`
		}
	}](t, "", "offers", "--offers", "1000,5000", "--duration", "100ms")
	if len(r.Rows) != 2 {
		t.Fatalf("%d rows", len(r.Rows))
	}
	for _, row := range r.Rows {
		// 50 lines touch an offer each, 10 categories ten each, and 50 are wide.
		if judged := row.ShownPerFeed + row.WithheldPerFeed; row.Feeds == 0 || judged < 190 || judged > 210 || row.Heap <= 0 {
			t.Errorf("row %+v", row)
		}
	}
}

// TestOutbox also shows that a bench starts its own, durable database.
func TestOutbox(t *testing.T) {
	t.Parallel()
	type latency struct {
		Samples int
		P50     int64 `json:"p50_ns"`
	}
	r := bench[struct {
		Events    int
		PerSecond float64 `json:"per_second"`
		Woken     latency `json:"idle_woken"`
		Polled    latency `json:"idle_polled"`
		Postgres  map[string]string
	}](t, "", "outbox", "--events", "3000", "--samples", "10")
	if r.Events != 3000 || r.PerSecond <= 0 || r.Woken.Samples != 10 || r.Polled.Samples != 10 || r.Woken.P50 <= 0 || r.Polled.P50 <= 0 {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if r.Postgres[name] != "on" {
			t.Errorf("%s is %q: the bench measures a database that forgets", name, r.Postgres[name])
		}
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	r := bench[struct {
		Payments  int
		Events    int
		Accepted  float64                 `json:"accepted_per_second"`
		Delivered float64                 `json:"delivered_per_second"`
		Load      struct{ Samples int64 } `json:"publish_to_arrival_under_load"`
		Calm      struct{ Samples int64 } `json:"publish_to_arrival_calm"`
		Outage    struct {
			Events int
			Wasted int64 `json:"posts_answered_500"`
		}
		Ledger ledger
	}](t, pgtest.New(t).DSN(), "webhooks", "--events", "300", "--connections", "8", "--calm", "1s", "--outage", "1s", "--wallets", "60", "--event-types", "*")
	if r.Payments != 300 || r.Events <= 300 || r.Events > 900 { // some payments empty a lot, which is an event too
		t.Errorf("%d payments published %d events", r.Payments, r.Events)
	}
	if r.Accepted <= 0 || r.Delivered <= 0 || r.Load.Samples != 300 || r.Calm.Samples != 50 || r.Outage.Events != 400 || r.Outage.Wasted == 0 || !r.Ledger.Sound {
		t.Errorf("%+v", r)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t).DSN()
	type report struct {
		Rows []struct {
			Kind     string
			Replayed int64
			Same     int64 `json:"same_bytes"`
		}
	}
	kinds := map[string]int64{}
	for _, row := range bench[report](t, dsn, "replay", "--make", "20").Rows {
		if row.Same != row.Replayed {
			t.Errorf("%+v", row)
		}
		kinds[row.Kind] = row.Same
	}
	if kinds["offer"] != 20 || kinds["sale"] < 20 || kinds["wallet_debit"] < 20 {
		t.Errorf("replayed %v; 20 sales with offers and 20 payments were made", kinds)
	}
	// Made by one process, replayed by another.
	for _, row := range bench[report](t, dsn, "replay", "--most", "10").Rows {
		if row.Same != 10 {
			t.Errorf("by another process: %+v", row)
		}
	}
}

func TestActuators(t *testing.T) {
	t.Parallel()
	type report struct {
		Starts []struct {
			Actuator string
			P50      int64 `json:"p50_ns"`
		}
		Plans []struct {
			Batch int
			Plans float64 `json:"plans_per_second"`
		}
		Payments []struct {
			Rate      float64 `json:"per_second"`
			InProcess float64 `json:"in_process_per_second"`
		}
		Failover struct {
			Kills, Payments, Sales int
			SalesFailed            int `json:"sales_failed"`
		}
	}
	r := bench[report](t, pgtest.New(t).DSN(), "actuators", "--starts", "1", "--connections", "4", "--duration", "1s", "--rounds", "1", "--wallets", "60", "--kills", "1")
	if len(r.Starts) != 3 || len(r.Plans) != 9 || len(r.Payments) != 1 || r.Payments[0].Rate <= 0 || r.Payments[0].InProcess <= 0 {
		t.Errorf("%+v", r)
	}
	for _, p := range r.Plans {
		if p.Plans <= 0 {
			t.Errorf("%+v", p)
		}
	}
	if f := r.Failover; f.Kills != 1 || f.Payments == 0 || f.Sales == 0 || f.SalesFailed != 0 {
		t.Errorf("%+v", f)
	}
}
