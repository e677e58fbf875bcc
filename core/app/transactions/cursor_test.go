package transactions

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
)

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := checkout.Position{
			CreatedAt:     time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "at")).UTC(),
			TransactionID: rapid.StringMatching(`txn_[0-9a-z]{26}`).Draw(t, "id"),
		}
		got, err := openCursor(sealCursor(want))
		if err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// FuzzCursor holds that a cursor is either refused with its own code or one
// that encodes to the same text.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("AAAAAHRyYW5zYWN0aW9uczox")
	f.Add(sealCursor(checkout.Position{CreatedAt: time.UnixMicro(1).UTC(), TransactionID: "txn_1"}))
	f.Fuzz(func(t *testing.T, s string) {
		at, err := openCursor(s)
		switch {
		case err != nil && !fault.Is(err, fault.CodeCursorInvalid):
			t.Fatal(err)
		case err == nil && s != "" && sealCursor(at) != s:
			t.Fatalf("%q opens as %+v, which seals as %q", s, at, sealCursor(at))
		}
	})
}
