package ledger

import (
	"slices"
	"time"
)

// GrantMovement is one thing that happened to a lot.
type GrantMovement struct {
	Type           string // issued, released, spent, restored, expired, clawed_back, moved
	AmountMinor    int64  // by how much, never negative; 0 where only the state changed
	RemainingMinor int64  // what was left after it
	ReferenceID    string // the payment, refund or other object behind it
	EntryID        string // empty where no money moved
	At             time.Time
}

// LotLine is a posting on a lot, with the head of its entry.
type LotLine struct {
	EntryID     string
	Kind        EntryKind
	RefID       string
	AmountMinor int64
	At          time.Time
}

// MovementsOf tells the story of a lot by its lines, oldest first: what it was
// issued with, what took from it and gave back, and when it was released where
// that was later than its issue.
func MovementsOf(g Grant, lines []LotLine) []GrantMovement {
	out := make([]GrantMovement, 0, len(lines)+1)
	left := int64(0)
	for i, l := range lines {
		left += l.AmountMinor
		m := GrantMovement{
			Type: movementType(l, i == 0), AmountMinor: max(l.AmountMinor, -l.AmountMinor), RemainingMinor: left,
			ReferenceID: l.RefID, EntryID: l.EntryID, At: l.At,
		}
		if i == 0 {
			m.ReferenceID = g.OriginID
		}
		out = append(out, m)
	}
	if g.ReleasedAt == nil || !g.ReleasedAt.After(g.CreatedAt) {
		return out
	}
	at := slices.IndexFunc(out, func(m GrantMovement) bool { return m.At.After(*g.ReleasedAt) })
	if at < 0 {
		at = len(out)
	}
	released := GrantMovement{Type: "released", At: *g.ReleasedAt}
	if at > 0 {
		released.RemainingMinor = out[at-1].RemainingMinor
	}
	return slices.Insert(out, at, released)
}

func movementType(l LotLine, first bool) string {
	switch {
	case first:
		return "issued"
	case l.Kind == EntryPayment && l.AmountMinor < 0:
		return "spent"
	case l.Kind == EntryVoid || l.Kind == EntryRefund:
		return "restored"
	case l.Kind == EntryExpiry:
		return "expired"
	case l.Kind == EntryClawback || l.Kind == EntryTopupReversal:
		return "clawed_back"
	}
	return "moved"
}
