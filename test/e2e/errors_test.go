package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/feddi/feddi/test/e2e/internal/document"
)

// The tests of the files errors_*_test.go get the errors that the contract
// lists for an operation and that no scenario comes across, as their callers
// see them: through both doors, with the field and the rule at fault and what to
// do about it. accounting_test.go sees to it that none is missing.

// refusal is a call and the error that it must get.
type refusal struct {
	call        request
	status      int
	code        string
	field, rule string // of the first detail; empty where no field is at fault
	says        string // what the message tells to do
}

// byKey is a call with the shop's API key; as is one by its terminal.
func (s *shop) byKey(path string, body object) request {
	return request{path: path, as: s.key, body: s.whole(body)}
}

// refuses makes calls that must be refused, each over REST and over Connect, and
// holds what can be read of the shop, of a guest and of sessions to what it was.
func (s *shop) refuses(g guest, sessions []string, table ...refusal) {
	s.t.Helper()
	before := s.state(g, sessions...)
	for _, r := range table {
		s.refuse(r)
	}
	if after := s.state(g, sessions...); after != before {
		s.t.Errorf("refused calls changed something:\n%s\nbefore, and after\n%s", before, after)
	}
}

// refuse makes one call that must be refused over both doors.
func (s *shop) refuse(r refusal) {
	s.t.Helper()
	for _, wrong := range s.differs(r) {
		s.t.Error(wrong)
	}
}

// eventuallyRefuses waits until a call is refused so over both doors.
func (s *shop) eventuallyRefuses(r refusal) {
	s.t.Helper()
	eventually(s.t, func() error {
		if wrong := s.differs(r); len(wrong) > 0 {
			return errors.New(strings.Join(wrong, "\n"))
		}
		return nil
	})
}

// differs is how the answers to a call differ from a refusal.
func (s *shop) differs(r refusal) (wrong []string) {
	s.t.Helper()
	note := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s %s: ", r.call.path, r.code)+fmt.Sprintf(format, args...))
	}
	a := sendTo(s.t, s.server, r.call)
	if a.Status != r.status || a.code() != r.code || a.at("data") != nil {
		note("answered %d %s", a.Status, clip(a.Raw))
		return wrong
	}
	if !strings.Contains(a.text("error.message"), r.says) {
		note("the message %q does not say %q", a.text("error.message"), r.says)
	}
	details := a.fields()
	if want := strings.TrimSpace(r.field + " " + r.rule); want != "" && (len(details) == 0 || details[0] != want) || want == "" && len(details) > 0 {
		note("the details are %q, want %q", details, want)
	}
	if waits := r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable; waits && a.Header.Get("Retry-After") == "" {
		note("no Retry-After")
	}
	rpc := sendTo(s.t, s.server, s.overConnect(s.operation(r.call), r.call))
	found := rpcError(rpc)
	if found == nil {
		note("over Connect %d %s", rpc.Status, clip(rpc.Raw))
		return wrong
	}
	var over []string
	for _, d := range found.GetDetails() {
		over = append(over, d.GetField()+" "+d.GetRule())
	}
	if found.GetCode() != r.code || found.GetMessage() != a.text("error.message") || !slices.Equal(over, details) {
		note("over Connect %v\nover REST %s", found, clip(a.Raw))
	}
	return wrong
}

// operation is the one that a call is meant for.
func (s *shop) operation(r request) document.Operation {
	s.t.Helper()
	req, _, err := r.build(s.t.Context(), s.server)
	if err != nil {
		s.t.Fatal(err)
	}
	id := operationOf(req)
	for _, op := range system.spec.Operations() {
		if op.ID == id {
			return op
		}
	}
	s.t.Fatalf("%s is no operation of the document", fmt.Sprint(r.method, r.path))
	return document.Operation{}
}
