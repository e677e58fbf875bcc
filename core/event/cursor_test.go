package event

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"
)

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := Cursor{XID: rapid.Uint64Range(0, 1<<62).Draw(t, "xid"), Position: rapid.Int64Range(0, 1<<62).Draw(t, "position")}
		got, err := ParseCursor(want.String())
		if err != nil || got != want {
			t.Fatalf("ParseCursor(%v.String()) = %v, %v", want, got, err)
		}
	})
}

// FuzzParseCursor holds that a cursor is either refused with its own code or
// one that encodes to the same text.
func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add("AQAAAAAAAAABAAAAAAAAAAE")
	f.Add(Cursor{XID: 7, Position: 9}.String())
	f.Add("AQ==")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		switch {
		case err != nil && !fault.Is(err, fault.CodeCursorInvalid):
			t.Fatalf("ParseCursor(%q): %v", s, err)
		case err == nil && s != "" && c.String() != s:
			t.Fatalf("ParseCursor(%q) = %v, which encodes as %q", s, c, c.String())
		}
	})
}
