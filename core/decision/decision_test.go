package decision_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/decision"
)

// TestTraceID holds that equal parts give equal ids, others others, and that
// the boundaries between parts count.
func TestTraceID(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^dt_[0-9a-hjkmnp-tv-z]{26}$`)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringN(0, 4, -1), 0, 4)
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		x, y := decision.TraceID(a...), decision.TraceID(b...)
		if !shape.MatchString(x) || (x == y) != slices.Equal(a, b) {
			t.Fatalf("%q gives %s, %q gives %s", a, x, b, y)
		}
	})
	if decision.TraceID("ab", "c") == decision.TraceID("a", "bc") {
		t.Error("the boundary between parts does not count")
	}
	// The id is stored: it must never come out differently.
	if got := decision.TraceID("offers", "cs_1", "2"); got != decision.TraceID("offers", "cs_1", "2") || len(got) != 29 {
		t.Error(got)
	}
}

// TestReplayTellsWhereItLeaves holds that a replay is compared byte by byte.
func TestReplayTellsWhereItLeaves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		recorded := rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "recorded")
		again := rapid.OneOf(rapid.Just(recorded), rapid.SliceOfN(rapid.Byte(), 0, 80)).Draw(t, "again")
		tr := decision.Trace{ID: "dt_1", Inputs: json.RawMessage("{}"), Outputs: recorded}
		err := decision.Replay(context.Background(), tr, func(context.Context, json.RawMessage) (json.RawMessage, error) { return again, nil })
		if slices.Equal(recorded, again) {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		var m *decision.Mismatch
		if !errors.As(err, &m) || m.TraceID != "dt_1" || !slices.Equal(recorded[:m.Offset], again[:m.Offset]) {
			t.Fatalf("%v", err)
		}
		if m.Offset < len(recorded) && m.Offset < len(again) && recorded[m.Offset] == again[m.Offset] {
			t.Fatalf("byte %d is the same", m.Offset)
		}
	})
	failing := errors.New("the version is gone")
	err := decision.Replay(t.Context(), decision.Trace{ID: "dt_1"}, func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, failing })
	if !errors.Is(err, failing) {
		t.Errorf("an engine that can't run: %v", err)
	}
}
