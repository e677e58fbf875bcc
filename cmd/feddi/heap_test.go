package main

import "testing"

func TestRoom(t *testing.T) {
	t.Parallel()
	for total, want := range map[uint64]uint64{0: 0, 1 << 30: 21474836, 8 << 30: 171798691, 64 << 30: 480 << 20} {
		if got := room(total); got != want {
			t.Errorf("of %d bytes of memory %d are room, want %d", total, got, want)
		}
	}
}

// Whoever sets the collector gets what they set.
func TestRoomIsTakenAway(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	if got, want := len(collectSeldom()), int(room(memory())*100/growth); got != want {
		t.Errorf("%d bytes count as live, want %d", got, want)
	}
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv(name, "100")
		if got := len(collectSeldom()); got > 0 {
			t.Errorf("%s is set, and %d bytes count as live", name, got)
		}
		t.Setenv(name, "")
	}
}
