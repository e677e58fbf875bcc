package tenancy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/tenancy"
)

// TestATerminalOnlyEverGoesQuiet: without a heartbeat the state moves from
// online over late to offline and never back, and a retired one is disabled.
func TestATerminalOnlyEverGoesQuiet(t *testing.T) {
	t.Parallel()
	order := map[tenancy.TerminalState]int{tenancy.TerminalOnline: 0, tenancy.TerminalLate: 1, tenancy.TerminalOffline: 2}
	seen := time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		gap := rapid.Int64Range(-int64(time.Minute), int64(time.Hour))
		a, b := gap.Draw(t, "a"), gap.Draw(t, "b")
		terminal := tenancy.Terminal{Status: tenancy.TerminalActive, LastSeenAt: &seen}
		early, late := terminal.StateAt(seen.Add(time.Duration(min(a, b)))), terminal.StateAt(seen.Add(time.Duration(max(a, b))))
		if order[early] > order[late] {
			t.Fatalf("%s, and later %s", early, late)
		}
		terminal.Status = "retired"
		if got := terminal.StateAt(seen.Add(time.Duration(a))); got != tenancy.TerminalDisabled {
			t.Fatalf("a retired one is %s", got)
		}
	})
}

func TestTerminalStates(t *testing.T) {
	t.Parallel()
	seen := time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
	for silent, want := range map[time.Duration]tenancy.TerminalState{
		-time.Second: tenancy.TerminalOnline, 90 * time.Second: tenancy.TerminalOnline, 90*time.Second + 1: tenancy.TerminalLate,
		10 * time.Minute: tenancy.TerminalLate, 10*time.Minute + 1: tenancy.TerminalOffline,
	} {
		terminal := tenancy.Terminal{Status: tenancy.TerminalActive, LastSeenAt: &seen}
		if got := terminal.StateAt(seen.Add(silent)); got != want {
			t.Errorf("silent for %v: %s, want %s", silent, got, want)
		}
	}
	if got := (tenancy.Terminal{Status: tenancy.TerminalActive}).StateAt(seen); got != tenancy.TerminalOffline {
		t.Errorf("one that never reported is %s", got)
	}
}
