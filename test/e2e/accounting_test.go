package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/core/fault"
)

var update = flag.Bool("update", false, "write testdata/unreproduced.txt from a whole run in place of comparing it")

// unreproduced lists the errors that the contract names and no test of this
// package has got from the server, one operation and code a line. It may only
// become shorter.
const unreproduced = "testdata/unreproduced.txt"

// accounts are what the tests of this run have got from each operation.
type accounts struct {
	mu   sync.Mutex
	seen map[string]bool // by "operation CODE", or "operation success"
}

// How an operation can succeed; what an operation must have done to be ga.
const (
	overREST, overConnect           = "over REST", "over Connect"
	replayedREST, replayedOnConnect = "replayed over REST", "replayed over Connect"
)

// answered books what a request was answered with: the code of a refusal, or
// the way in which it succeeded.
func (a *accounts) answered(req *http.Request, was *answer, code string) {
	replayed := was.Header.Get("Idempotency-Replayed") == "true"
	switch rest := strings.HasPrefix(req.URL.Path, base); {
	case code != "" || was.Status >= http.StatusMultipleChoices:
		a.note(req, code)
	case rest && replayed:
		a.note(req, replayedREST)
	case rest:
		a.note(req, overREST)
	case replayed:
		a.note(req, replayedOnConnect)
	default:
		a.note(req, overConnect)
	}
}

// note books one thing that a request has got.
func (a *accounts) note(req *http.Request, what string) {
	id := operationOf(req)
	if id == "" || what == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = map[string]bool{}
	}
	a.seen[id+" "+what] = true
}

// contract is the catalogue, read once: each exchange asks for it.
var contract = sync.OnceValues(api.Catalogue)

// operationOf is the operation that a request is meant for; empty for none.
func operationOf(req *http.Request) string {
	catalogue, err := contract()
	if err != nil {
		return ""
	}
	path, rest := strings.CutPrefix(req.URL.Path, base)
	if !rest {
		if o := catalogue.Procedure(path); o != nil {
			return o.ID
		}
		return ""
	}
	best, literals := "", -1
	parts := strings.Split(path, "/")[1:]
	for _, o := range catalogue.All {
		if o.Method != req.Method || len(o.Segments) != len(parts) {
			continue
		}
		fits, literal := true, 0
		for i, s := range o.Segments {
			switch {
			case s.Field != nil:
			case s.Literal == parts[i]:
				literal++
			default:
				fits = false
			}
		}
		if fits && literal > literals {
			best, literals = o.ID, literal
		}
	}
	return best
}

// ofThePipeline are refusals that no operation makes: they come from what all
// of them pass through, and are held once, not once for each.
var ofThePipeline = []string{"INTERNAL", "DEADLINE_EXCEEDED", "OVERLOADED", "RATE_LIMITED", "IDEMPOTENCY_IN_PROGRESS", "SUBSYSTEM_DEGRADED"}

// missing are the refusals that the contract names and nobody has seen.
func (a *accounts) missing() ([]string, error) {
	catalogue, err := contract()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, o := range catalogue.All {
		if o.Planned() || o.Signed() {
			continue
		}
		for _, code := range o.Codes() {
			own := slices.Contains(o.Options.GetErrors(), string(code))
			if line := o.ID + " " + string(code); !a.seen[line] && (own || !slices.Contains(ofThePipeline, string(code))) {
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// unlisted are the refusals that somebody has seen and the contract does not name.
func (a *accounts) unlisted() ([]string, error) {
	catalogue, err := contract()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for line := range a.seen {
		id, code, _ := strings.Cut(line, " ")
		o := catalogue.ID(id)
		if fault.Code(code).Known() && !slices.Contains(o.Codes(), fault.Code(code)) && !slices.Contains(ofTheDoor, code) {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out, nil
}

// ofTheDoor are refusals of requests that reach no operation: they are in no
// list.
var ofTheDoor = []string{"METHOD_NOT_ALLOWED", "NOT_IMPLEMENTED"}

// wanting is what an operation has not been seen to do, and must do in tests to
// be ga: succeed through both doors, answer again under its key through both,
// and refuse with each error that the contract names.
func (a *accounts) wanting(o *operation.Operation, missing []string) (out []string) {
	must := []string{overREST}
	if !o.Options.GetRaw() && !o.Signed() {
		must = append(must, overConnect)
	}
	if o.Options.GetIdempotent() {
		must = append(must, replayedREST, replayedOnConnect)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, what := range must {
		if !a.seen[o.ID+" "+what] {
			out = append(out, what)
		}
	}
	for _, line := range missing {
		if id, code, _ := strings.Cut(line, " "); id == o.ID {
			out = append(out, code)
		}
	}
	return out
}

// graded holds the maturity of operations to what this run has seen: ga is only
// what wants nothing. What is beta and wants nothing is told, for whoever grades.
func (a *accounts) graded(missing []string) (tell []string, err error) {
	catalogue, err := contract()
	if err != nil {
		return nil, err
	}
	for _, o := range catalogue.All {
		wanting := a.wanting(o, missing)
		switch ga := o.Maturity() == "ga"; {
		case ga && len(wanting) > 0:
			err = errors.Join(err, fmt.Errorf("%s is ga, and no test saw it: %s", o.ID, strings.Join(wanting, ", ")))
		case !ga && len(wanting) == 0:
			tell = append(tell, o.ID+" is "+o.Maturity()+" and wants nothing that a run can see")
		case !ga:
			tell = append(tell, o.ID+" is "+o.Maturity()+", and no test saw it: "+strings.Join(wanting, ", "))
		}
	}
	return tell, err
}

// What was seen is held to the contract both ways.
func TestAccounts(t *testing.T) {
	t.Parallel()
	catalogue, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	var books accounts
	request := func(method, path string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before, err := books.missing()
	if err != nil {
		t.Fatal(err)
	}
	books.answered(request(http.MethodPost, "/payments"), &answer{Status: http.StatusGone, Header: http.Header{}}, "CREDENTIAL_USED")
	books.answered(request(http.MethodPost, "/payments"), &answer{Status: http.StatusCreated, Header: http.Header{"Idempotency-Replayed": {"true"}}}, "")
	books.answered(request(http.MethodGet, "/customers/lookup"), &answer{Status: http.StatusConflict, Header: http.Header{}}, "STATE_CONFLICT")
	books.answered(request(http.MethodPost, "/nowhere"), &answer{Status: http.StatusNotFound, Header: http.Header{}}, "NOT_FOUND")
	missing, err := books.missing()
	if err != nil || len(missing) != len(before)-1 || slices.Contains(missing, "paymentAuthorize CREDENTIAL_USED") {
		t.Errorf("%d are missing of %d: %v", len(missing), len(before), err)
	}
	if unlisted, err := books.unlisted(); err != nil || !slices.Equal(unlisted, []string{"lookupCustomer STATE_CONFLICT"}) {
		t.Errorf("unlisted: %q, %v", unlisted, err)
	}
	wanting := books.wanting(catalogue.ID("paymentAuthorize"), []string{"paymentAuthorize OVERLOADED", "paymentCapture OVERLOADED"})
	if !slices.Equal(wanting, []string{overREST, overConnect, replayedOnConnect, "OVERLOADED"}) {
		t.Errorf("a payment wants %q", wanting)
	}
	if _, err := books.graded(missing); err == nil || !strings.Contains(err.Error(), "createApiKey is ga, and no test saw it: "+overREST) {
		t.Errorf("graded: %v", err)
	}
}

// settle compares what was not seen in a whole run with the list.
func (a *accounts) settle() error {
	if selected := flag.Lookup("test.run"); selected != nil && selected.Value.String() != "" {
		return nil // some tests only
	}
	missing, err := a.missing()
	if err != nil {
		return err
	}
	unlisted, err := a.unlisted()
	if err != nil {
		return err
	}
	grades, err := a.graded(missing)
	for _, line := range grades {
		fmt.Fprintln(os.Stderr, "e2e:", line)
	}
	for _, line := range unlisted {
		err = errors.Join(err, fmt.Errorf("a test got %s, which the contract does not name: add the code to the operation's errors", line))
	}
	if *update {
		return errors.Join(err, os.WriteFile(unreproduced, []byte(strings.Join(append(missing, ""), "\n")), 0o644))
	}
	return errors.Join(err, outstanding(missing))
}

// outstanding holds what was not seen to the list of what is known to be so.
func outstanding(missing []string) (err error) {
	raw, err := os.ReadFile(unreproduced)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for line := range splitLines(strings.TrimSpace(string(raw))) {
		known[line] = line != ""
	}
	for _, line := range missing {
		if !known[line] {
			err = errors.Join(err, fmt.Errorf("no test gets %s: write one, or take the code off the operation's errors", line))
		}
		delete(known, line)
	}
	delete(known, "")
	if len(missing) == 0 {
		fmt.Fprintln(os.Stderr, "e2e: every listed error is reproduced")
	}
	for _, line := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(os.Stderr, "e2e: %s was reproduced; take it off %s where that is no chance\n", line, unreproduced)
	}
	return err
}
