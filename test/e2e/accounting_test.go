package e2e_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/feddi/feddi/adapters/api"
)

var update = flag.Bool("update", false, "write testdata/unreproduced.txt from a whole run in place of comparing it")

// unreproduced lists the errors that the contract names and no test of this
// package has got from the server, one operation and code a line. It may only
// become shorter.
const unreproduced = "testdata/unreproduced.txt"

// accounts are the refusals that the tests of this run have got.
type accounts struct {
	mu   sync.Mutex
	seen map[string]bool // by "operation CODE"
}

// note books a refusal of a request.
func (a *accounts) note(req *http.Request, code string) {
	id := operationOf(req)
	if id == "" || code == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = map[string]bool{}
	}
	a.seen[id+" "+code] = true
}

// operationOf is the operation that a request is meant for; empty for none.
func operationOf(req *http.Request) string {
	catalogue, err := api.Catalogue()
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
	catalogue, err := api.Catalogue()
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

// settle compares what was not seen in a whole run with the list.
func (a *accounts) settle() error {
	if selected := flag.Lookup("test.run"); selected != nil && selected.Value.String() != "" {
		return nil // some tests only
	}
	missing, err := a.missing()
	if err != nil {
		return err
	}
	if *update {
		return os.WriteFile(unreproduced, []byte(strings.Join(missing, "\n")+"\n"), 0o644)
	}
	raw, err := os.ReadFile(unreproduced)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, line := range strings.Fields(strings.ReplaceAll(string(raw), " ", "/")) {
		known[strings.ReplaceAll(line, "/", " ")] = true
	}
	for _, line := range missing {
		if !known[line] {
			err = fmt.Errorf("%w\nno test gets %s: write one, or take the code off the operation's errors", orNew(err), line)
		}
		delete(known, line)
	}
	for _, line := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(os.Stderr, "e2e: %s was reproduced; take it off %s where that is no chance\n", line, unreproduced)
	}
	return err
}

func orNew(err error) error {
	if err == nil {
		return fmt.Errorf("errors that the contract names and no test reproduces")
	}
	return err
}
