package lru_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/lru"
)

// TestTheCacheIsTheLatestUses compares it with a plain list of uses.
func TestTheCacheIsTheLatestUses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		c := lru.New[int, int](limit)
		var used []int // latest last
		values := map[int]int{}
		touch := func(k int) {
			used = append(slices.DeleteFunc(used, func(u int) bool { return u == k }), k)
			if len(used) > limit {
				delete(values, used[0])
				used = used[1:]
			}
		}
		forget := func(k int) {
			used = slices.DeleteFunc(used, func(u int) bool { return u == k })
			delete(values, k)
		}
		key := rapid.IntRange(0, 8)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), rapid.Int().Draw(t, "value")
				c.Put(k, v)
				values[k] = v
				touch(k)
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				got, ok := c.Get(k)
				want, known := values[k]
				if ok != known || got != want {
					t.Fatalf("Get(%d) = %d, %v; want %d, %v", k, got, ok, want, known)
				}
				if known {
					touch(k)
				}
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				c.Delete(k)
				forget(k)
			},
			"delete even": func(*rapid.T) {
				c.DeleteFunc(func(k, _ int) bool { return k%2 == 0 })
				for _, k := range slices.Clone(used) {
					if k%2 == 0 {
						forget(k)
					}
				}
			},
			"": func(t *rapid.T) {
				if c.Len() != len(values) {
					t.Fatalf("Len = %d, want %d", c.Len(), len(values))
				}
			},
		})
		c.Clear()
		if c.Len() != 0 {
			t.Fatal("Clear left something")
		}
	})
}
