package dispute_test

import (
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/fault"
)

// Evidence links to the web or to nothing, and is bounded.
func TestCheckEvidence(t *testing.T) {
	t.Parallel()
	for link, ok := range map[string]bool{
		"": true, "https://example.com/a?b=c#d": true, "http://example.com": true, "HTTPS://example.com/": true,
		"javascript:alert(1)": false, "data:text/html,x": false, "ftp://example.com/": false, "//example.com/x": false, "/x": false,
		"https://": false, "https://u:p@example.com/": false, "https://%zz/": false,
	} {
		err := dispute.Check([]dispute.Evidence{{Type: "log", Text: "x", URL: link}})
		if ok != (err == nil) || err != nil && !fault.Is(err, fault.CodeValidationFailed) {
			t.Errorf("%q: %v", link, err)
		}
	}
	if err := dispute.Check(make([]dispute.Evidence, dispute.MaxEvidence)); err != nil {
		t.Error(err)
	}
	for _, list := range [][]dispute.Evidence{make([]dispute.Evidence, dispute.MaxEvidence+1), {{Facts: []byte(strings.Repeat("x", dispute.MaxFacts+1))}}} {
		if err := dispute.Check(list); !fault.Is(err, fault.CodeValidationFailed) {
			t.Errorf("%d items: %v", len(list), err)
		}
	}
}

// A dispute is resolved once, and the history says by whom.
func TestResolve(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 12, 12, 0, 0, 0, time.UTC)
	d := dispute.Dispute{State: dispute.Open, History: []dispute.Step{{Type: "opened"}}}
	done, err := d.Resolve(dispute.Resolution{Outcome: dispute.ForMerchant, Note: "No"}, "key_1", now)
	if err != nil || done.State != dispute.Resolved || len(done.History) != 2 || done.History[1] != (dispute.Step{Type: "resolved", ActorID: "key_1", Note: "No", At: now}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if len(d.History) != 1 || d.State != dispute.Open {
		t.Error("the dispute before it changed")
	}
	if _, err := done.Resolve(dispute.Resolution{Outcome: dispute.ForCustomer}, "key_1", now); !fault.Is(err, fault.CodeStateConflict) {
		t.Error(err)
	}
}
