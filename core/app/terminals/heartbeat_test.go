package terminals

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/tenancy"
)

// TestATokenTellsExactlyWhatDiffers: whatever a till had and whatever its
// merchant has now, it reads again what differs and nothing else.
func TestATokenTellsExactlyWhatDiffers(t *testing.T) {
	t.Parallel()
	state := rapid.Custom(func(t *rapid.T) tillState {
		h := tillState{merchantID: "mer_1", version: rapid.SampledFrom([]string{"1.0", "1.1"}).Draw(t, "version"), revisions: map[tenancy.TillSubject]int64{}}
		for _, subject := range tenancy.TillSubjects() {
			if n := rapid.Int64Range(0, 3).Draw(t, string(subject)); n > 0 { // what never changed is not there
				h.revisions[subject] = n
			}
		}
		return h
	})
	rapid.Check(t, func(t *rapid.T) {
		before, now := state.Draw(t, "before"), state.Draw(t, "now")
		want := []tenancy.TillSubject{}
		for _, subject := range tenancy.TillSubjects() {
			if before.revisions[subject] != now.revisions[subject] || subject == tenancy.TillCapabilities && before.version != now.version {
				want = append(want, subject)
			}
		}
		if got := now.since(before.token()); !slices.Equal(got, want) {
			t.Fatalf("changed %v, want %v", got, want)
		}
		if len(now.token()) > 512 {
			t.Fatalf("a token of %d bytes is refused when it comes back", len(now.token()))
		}
		elsewhere := before
		elsewhere.merchantID = "mer_2"
		mangled := []byte(before.token())
		mangled[rapid.IntRange(0, len(mangled)-1).Draw(t, "at")] ^= 1
		for _, none := range []string{"", "x", elsewhere.token(), string(mangled)} {
			if got := now.since(none); !slices.Equal(got, tenancy.TillSubjects()) {
				t.Fatalf("%q stands for a state: changed %v", none, got)
			}
		}
	})
}
