package payments

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever order jobs ask and end in: a claim has one holder, heirs get it in
// the order in which they asked, and in the end nobody waits and nothing is held.
func TestClaimsAreHandedOverInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l locks
		names := []claim{{kind: 's', tenant: 1, id: "a"}, {kind: 'w', tenant: 1, id: "a"}, {kind: 'w', tenant: 2, id: "a"}}
		jobs := make([]*job, rapid.IntRange(1, 12).Draw(t, "jobs"))
		wants := map[*job][]claim{}
		for i := range jobs {
			jobs[i] = &job{}
			for _, c := range names { // always asked for in one order
				if rapid.Bool().Draw(t, "wants") {
					wants[jobs[i]] = append(wants[jobs[i]], c)
				}
			}
		}
		asked := map[claim][]*job{}
		holder := map[claim]*job{}
		// advance asks for what j still lacks; false where it has to wait.
		advance := func(j *job) bool {
			for _, c := range wants[j] {
				if slices.Contains(j.claims, c) {
					continue
				}
				if !l.take(j, c) {
					asked[c] = append(asked[c], j)
					return false
				}
				if holder[c] != nil {
					t.Fatalf("%v has two holders", c)
				}
				holder[c] = j
			}
			return true
		}
		ready, begun, ended := slices.Clone(jobs), []*job{}, 0
		for len(ready)+len(begun) > 0 {
			if i := rapid.IntRange(0, len(ready)+len(begun)-1).Draw(t, "next"); i < len(ready) {
				j := ready[i]
				ready = slices.Delete(ready, i, i+1)
				if advance(j) {
					begun = append(begun, j)
				}
			} else {
				j := begun[i-len(ready)]
				begun = slices.Delete(begun, i-len(ready), i-len(ready)+1)
				held := j.claims
				heirs := l.release(j)
				ended++
				for _, c := range held {
					holder[c] = nil
					if len(asked[c]) == 0 {
						continue
					}
					heir := asked[c][0]
					asked[c] = asked[c][1:]
					if !slices.Contains(heirs, heir) || !slices.Contains(heir.claims, c) {
						t.Fatalf("%v did not go to who asked for it first", c)
					}
					holder[c] = heir
				}
				ready = append(ready, heirs...)
			}
		}
		if ended != len(jobs) || len(l.waiting) != 0 {
			t.Fatalf("%d of %d jobs ended, %d claims are held", ended, len(jobs), len(l.waiting))
		}
	})
}

func TestStoredDecisionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	if _, err := Replay(t.Context(), nil, []byte("{")); err == nil {
		t.Error("a torn decision was replayed")
	}
	if _, err := Recover(t.Context(), []byte("[]")); err == nil {
		t.Error("a trace of another kind was replayed")
	}
}

// What was let go after a turn is known, for long enough, and what never was, or
// before, is not said to be.
func TestWhatWasLetGoSinceIsKnown(t *testing.T) {
	t.Parallel()
	var l locks
	wallet := func(n int) claim { return claim{kind: 'w', tenant: int32(n), id: "a"} }
	pass := func(c claim) {
		j := &job{}
		if !l.take(j, c) {
			t.Fatalf("%v is taken", c)
		}
		l.release(j)
	}
	before := l.now()
	pass(wallet(1))
	after := l.now()
	if !l.letSince(wallet(1), before) || l.letSince(wallet(1), after) || l.letSince(wallet(2), before) || l.letSince(claim{}, before) {
		t.Fatal("what was let go is told wrongly")
	}
	for n := range remembered {
		pass(wallet(n + 10))
	}
	if !l.letSince(wallet(1), before) || l.letSince(wallet(1), after) {
		t.Error("forgotten too early")
	}
	for n := range 2 * remembered {
		pass(wallet(n + 10))
	}
	if n := len(l.let[0]) + len(l.let[1]); n > 2*remembered || l.letSince(wallet(1), before) {
		t.Errorf("%d claims are remembered", n)
	}
}
