package ranking

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSort holds that ranks sorted as numbers lie as ranks that are compared in
// full, also where they do not fit into a number, and also after the memory was
// used before.
func TestSort(t *testing.T) {
	t.Parallel()
	var s Sorter
	rapid.Check(t, func(t *rapid.T) {
		figure := func(few, extreme []int64) int64 {
			return rapid.OneOf(rapid.SampledFrom(few), rapid.SampledFrom(few), rapid.SampledFrom(few), rapid.SampledFrom(extreme)).Draw(t, "figure")
		}
		extreme := []int64{0, 128, -129, 1 << amountBits, math.MaxInt64, math.MinInt64}
		if rapid.Bool().Draw(t, "small") {
			extreme = []int64{0}
		}
		var ranks []Rank
		for i := range rapid.IntRange(0, 60).Draw(t, "ranks") {
			ranks = append(ranks, Rank{
				Priority: figure([]int64{0, 1, -1, 127, -128}, extreme), Amount: max(0, figure([]int64{0, 5, 99, 1<<amountBits - 1}, extreme)),
				Points: figure([]int64{0, 7}, []int64{1}), Ends: figure([]int64{math.MaxInt64, 3}, []int64{2}), Offer: int32(100 - i), At: int32(i),
			})
		}
		want := slices.Clone(ranks)
		slices.SortFunc(want, Rank.Compare)
		if s.Sort(ranks); !slices.Equal(ranks, want) {
			t.Fatalf("got  %+v\nwant %+v", ranks, want)
		}
	})
}
