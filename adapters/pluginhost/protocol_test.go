package pluginhost

import (
	"errors"
	"strings"
	"testing"

	"github.com/feddi/feddi/adapters/pluginhost/explain"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// TestTheVersionBefore: a program of protocol version 1 goes on working. It
// plans; commands are not driven, and stored facts are not sent.
func TestTheVersionBefore(t *testing.T) {
	t.Parallel()
	s := theirs(t, "old")
	o, err := Open(t.Context(), s, Config{Logger: discard, Dir: shortDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	if o.Protocol != handshake.Oldest || len(o.Manifest.CommandKinds) != 0 || o.Manifest.Name != "odd" {
		t.Errorf("protocol %d, %+v", o.Protocol, o.Manifest)
	}
	asked := actuation.Snapshot{ID: "1", Kind: actuation.KindEnrichment, Stored: []byte(`{"a":1}`)}
	out := o.Planner().Plan(t.Context(), []actuation.Snapshot{asked})[0]
	if out.Err != nil || string(out.Plan.Effects[0].Data) != `{"stored":false}` {
		t.Errorf("%+v", out)
	}
	_, err = o.actuator.Execute(t.Context(), actuation.Command{IdempotencyKey: "1", Kind: "sms.send"})
	if f := actuation.FailureOf(err); f == nil || f.Code != "unsupported_kind" || f.Retryable {
		t.Errorf("a command: %v", err)
	}

	// What was recorded when it was installed by an older host, with its command
	// kinds, is still what it declares.
	recorded := o.Manifest
	recorded.CommandKinds = []string{"sms.send"}
	s.Manifest = &recorded
	again, err := Open(t.Context(), s, Config{Logger: discard, Dir: shortDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// TestTheVersionAfter: a program that speaks a newer version too settles on the
// newest common one.
func TestTheVersionAfter(t *testing.T) {
	t.Parallel()
	o, err := Open(t.Context(), theirs(t, "newer"), Config{Logger: discard, Dir: shortDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	if o.Protocol != handshake.Version || len(o.Manifest.CommandKinds) != 1 {
		t.Errorf("protocol %d, %+v", o.Protocol, o.Manifest)
	}
	out := o.Planner().Plan(t.Context(), []actuation.Snapshot{{ID: "1", Kind: actuation.KindEnrichment, Stored: []byte(`{"a":1}`)}})[0]
	if out.Err != nil || string(out.Plan.Effects[0].Data) != `{"stored":true}` {
		t.Errorf("%+v", out)
	}
}

// TestOtherVersions: one that has no version in common says which it is, and
// what to do.
func TestOtherVersions(t *testing.T) {
	t.Parallel()
	for program, says := range map[string]string{"past": "version 0 of the protocol and this feddi versions 1 to 2; it is too old", "future": "version 99 of the protocol and this feddi versions 1 to 2; it is too new"} {
		_, err := Open(t.Context(), theirs(t, program), Config{Logger: discard, Dir: shortDir(t)})
		var explained *explain.Explained
		if !errors.As(err, &explained) || !strings.Contains(explained.Says, says) {
			t.Errorf("%s: %v, want one that says %q", program, err, says)
		}
	}
}
