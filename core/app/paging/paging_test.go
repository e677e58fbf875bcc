package paging_test

import (
	"encoding/base64"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/fault"
)

func TestACursorOpensForItsListOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := paging.Mark{
			At: time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "at")).UTC(),
			ID: rapid.StringMatching(`[a-z]{2,3}_[0-9a-z]{1,26}`).Draw(t, "id"),
		}
		list := rapid.StringMatching(`[a-z:_]{1,40}`).Draw(t, "list")
		cursor := paging.Seal(list, m)
		if got, err := paging.Open(list, cursor); err != nil || got != m {
			t.Fatalf("opened %+v, %v", got, err)
		}
		if _, err := paging.Open(list+"x", cursor); !fault.Is(err, fault.CodeCursorInvalid) {
			t.Fatalf("another list opens it: %v", err)
		}
	})
}

func TestACursorOfSomebodyElseIsInvalid(t *testing.T) {
	t.Parallel()
	for _, cursor := range []string{"x", "!!!!", "AAAAAAAA", base64.RawURLEncoding.EncodeToString([]byte("....list\n1\nid"))} {
		if _, err := paging.Open("list", cursor); !fault.Is(err, fault.CodeCursorInvalid) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	if m, err := paging.Open("list", ""); err != nil || m != paging.First() {
		t.Errorf("no cursor: %+v, %v", m, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("list", paging.Seal("list", paging.Mark{At: time.UnixMicro(1), ID: "id_1"}))
	f.Fuzz(func(t *testing.T, list, cursor string) {
		m, err := paging.Open(list, cursor)
		if err == nil && cursor != "" && paging.Seal(list, m) != cursor {
			t.Errorf("%q opens as %+v, which seals as %q", cursor, m, paging.Seal(list, m))
		}
	})
}

func TestPagesWalkTheWholeListOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 3), 0, 40).Draw(t, "times")
		rows := make([]paging.Mark, len(times))
		for i, at := range times {
			rows[i] = paging.Mark{At: time.UnixMicro(at).UTC(), ID: string(rune('a' + i))}
		}
		limit := rapid.IntRange(1, 7).Draw(t, "limit")
		seen := map[string]bool{}
		for end, pages := paging.First(), 0; ; pages++ {
			var left []paging.Mark
			for _, r := range rows {
				if r.After(end) {
					left = append(left, r)
				}
			}
			sortMarks(left)
			page, next := paging.Cut(left[:min(len(left), limit+1)], limit, "rows", func(m paging.Mark) paging.Mark { return m })
			for _, r := range page {
				if seen[r.ID] {
					t.Fatalf("%s came twice", r.ID)
				}
				seen[r.ID] = true
			}
			if next == "" {
				break
			}
			var err error
			if end, err = paging.Open("rows", next); err != nil || pages > len(rows) {
				t.Fatal("the list does not end", err)
			}
		}
		if len(seen) != len(rows) {
			t.Fatalf("saw %d of %d rows", len(seen), len(rows))
		}
	})
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: 50, -1: 50, 1: 1, 200: 200, 500: 200} {
		if got := paging.Size(limit); got != want {
			t.Errorf("Size(%d) = %d, want %d", limit, got, want)
		}
	}
}

func sortMarks(rows []paging.Mark) {
	for i := range rows {
		for j := i; j > 0 && rows[j-1].After(rows[j]); j-- {
			rows[j-1], rows[j] = rows[j], rows[j-1]
		}
	}
}
