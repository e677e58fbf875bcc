package conformance

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/feddi/feddi/core/actuation"
)

// Shrinking is bounded, so that a slow actuator's failure is reported soon.
const (
	maxTries  = 400
	maxShrink = 3 * time.Second
)

// shrink looks for the smallest snapshot that still fails, by leaving out and
// halving what is in s, again and again. fails is asked for every candidate.
func shrink(s actuation.Snapshot, fails func(actuation.Snapshot) bool) actuation.Snapshot {
	tries, began := 0, time.Now()
	for smaller := true; smaller; {
		smaller = false
		for _, c := range candidates(s) {
			if tries++; tries > maxTries || time.Since(began) > maxShrink {
				return s
			}
			if c = consistent(c); fails(c) {
				s, smaller = c, true
				break
			}
		}
	}
	return s
}

// candidates are the snapshots that are one step smaller than s, the boldest
// steps first.
func candidates(s actuation.Snapshot) []actuation.Snapshot {
	var out []actuation.Snapshot
	with := func(change func(*actuation.Snapshot)) {
		c := s
		change(&c)
		out = append(out, c)
	}
	for _, raw := range []func(*actuation.Snapshot) *json.RawMessage{
		func(c *actuation.Snapshot) *json.RawMessage { return &c.Facts },
		func(c *actuation.Snapshot) *json.RawMessage { return &c.Settings },
		func(c *actuation.Snapshot) *json.RawMessage { return &c.Stored },
	} {
		for _, less := range lessObject(*raw(&s)) {
			with(func(c *actuation.Snapshot) { *raw(c) = less })
		}
	}
	for _, less := range lessList(s.Lots) {
		with(func(c *actuation.Snapshot) { c.Lots = less })
	}
	for _, less := range lessList(s.Allowance.Budgets) {
		with(func(c *actuation.Snapshot) { c.Allowance.Budgets = less })
	}
	for _, less := range lessList(s.Allowance.Sources) {
		with(func(c *actuation.Snapshot) { c.Allowance.Sources = less })
	}
	for _, text := range []func(*actuation.Snapshot) *string{
		func(c *actuation.Snapshot) *string { return &c.CustomerID },
		func(c *actuation.Snapshot) *string { return &c.SessionID },
		func(c *actuation.Snapshot) *string { return &c.PartnerID },
		func(c *actuation.Snapshot) *string { return &c.MerchantID },
	} {
		if *text(&s) != "" {
			with(func(c *actuation.Snapshot) { *text(c) = "" })
		}
	}
	if !s.StoredAt.IsZero() {
		with(func(c *actuation.Snapshot) { c.StoredAt = time.Time{} })
	}
	if s.Wallet.Verified {
		with(func(c *actuation.Snapshot) { c.Wallet.Verified = false })
	}
	for i := range amounts(&s) {
		for _, less := range lessNumber(*amounts(&s)[i], i == 0) {
			with(func(c *actuation.Snapshot) {
				c.Lots, c.Allowance.Budgets = slices.Clone(c.Lots), slices.Clone(c.Allowance.Budgets)
				*amounts(c)[i] = less
			})
		}
	}
	return out
}

// amounts are the figures of a snapshot; the first is at least 1.
func amounts(s *actuation.Snapshot) []*int64 {
	out := []*int64{&s.AmountMinor, &s.Allowance.MaxGrantMinor, &s.Allowance.MaxPoints, &s.Wallet.ActualMinor}
	for i := range s.Lots {
		out = append(out, &s.Lots[i].RemainingMinor)
	}
	for i := range s.Allowance.Budgets {
		out = append(out, &s.Allowance.Budgets[i].RemainingMinor)
	}
	return out
}

// consistent makes the balance that of the lots again.
func consistent(s actuation.Snapshot) actuation.Snapshot {
	s.Wallet.PromoAvailableMinor = 0
	for _, l := range s.Lots {
		if l.ExpiresAt.IsZero() || l.ExpiresAt.After(s.At) {
			s.Wallet.PromoAvailableMinor += l.RemainingMinor
		}
	}
	return s
}

// lessNumber are smaller numbers, the smallest first.
func lessNumber(n int64, positive bool) []int64 {
	least := int64(0)
	if positive {
		least = 1
	}
	if n <= least {
		return nil
	}
	out := []int64{least}
	for step := n / 2; step > 0; step /= 2 { // nearer and nearer
		if n-step > least {
			out = append(out, n-step)
		}
	}
	return out
}

// lessList are shorter lists: none, the halves, and all but one.
func lessList[T any](list []T) [][]T {
	if len(list) == 0 {
		return nil
	}
	out := [][]T{nil}
	if n := len(list) / 2; n > 0 {
		out = append(out, list[:n], list[n:])
	}
	if len(list) > 2 {
		for i := range list {
			out = append(out, slices.Delete(slices.Clone(list), i, i+1))
		}
	}
	return out
}

// lessObject are smaller JSON objects: none, and such with a member less or a
// smaller member.
func lessObject(raw json.RawMessage) []json.RawMessage {
	var members map[string]any
	if len(raw) == 0 || json.Unmarshal(raw, &members) != nil {
		return nil
	}
	out := []json.RawMessage{nil}
	for _, less := range lessMembers(members) {
		out = append(out, object(less))
	}
	return out
}

func lessMembers(members map[string]any) []map[string]any {
	var out []map[string]any
	for _, name := range slices.Sorted(maps.Keys(members)) {
		without := maps.Clone(members)
		delete(without, name)
		out = append(out, without)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		for _, less := range lessValue(members[name]) {
			smaller := maps.Clone(members)
			smaller[name] = less
			out = append(out, smaller)
		}
	}
	return out
}

// lessValue are smaller values in the place of v.
func lessValue(v any) []any {
	var out []any
	switch v := v.(type) {
	case []any:
		for _, less := range lessList(v) {
			if less == nil {
				less = []any{}
			}
			out = append(out, less)
		}
		for i := range v {
			for _, less := range lessValue(v[i]) {
				changed := slices.Clone(v)
				changed[i] = less
				out = append(out, changed)
			}
		}
	case map[string]any:
		for _, less := range lessMembers(v) {
			out = append(out, less)
		}
	case float64:
		if v == float64(int64(v)) {
			for _, less := range lessNumber(int64(v), false) {
				out = append(out, less)
			}
		}
	}
	return out
}
