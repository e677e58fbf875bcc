package main

import "testing"

func TestRoom(t *testing.T) {
	t.Parallel()
	for total, want := range map[uint64]uint64{0: 0, 1 << 30: 21474836, 8 << 30: 171798691, 64 << 30: 480 << 20} {
		if got := room(total); got != want {
			t.Errorf("of %d bytes of memory %d are room, want %d", total, got, want)
		}
	}
	if total := memory(); room(total) > total {
		t.Errorf("more room than memory: %d of %d bytes", room(total), total)
	}
}
