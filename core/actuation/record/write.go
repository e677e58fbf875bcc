package record

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"github.com/feddi/feddi/core/actuation"
)

// Append writes d behind dst.
func (d *Decision) Append(dst []byte) []byte {
	w := writer{out: append(slices.Grow(dst, d.size()), formBinary)}
	w.known = copy(w.numbered[:], words[:])
	w.text(d.Actuator)
	w.text(d.Version)
	w.snapshot(&d.Snapshot)
	w.plan(&d.Plan, d.Snapshot.Lots)
	return w.out
}

// size is what d takes, more or less: more where its texts are short.
func (d *Decision) size() int {
	const ids, lot, effect = 256, 56, 16
	s, p := &d.Snapshot, &d.Plan
	n := ids + lot*len(s.Lots) + len(s.Settings) + len(s.Facts) + len(s.Stored)
	n += effect*len(p.Effects) + len(p.Reasoning.Summary) + len(p.Reasoning.Rule) + len(p.Reasoning.Facts)
	for i := range p.Effects {
		n += len(p.Effects[i].Data)
	}
	return n
}

// writer appends to out. Its methods have their like in reader.
type writer struct {
	out      []byte
	numbered [names]string
	known    int // so many are numbered
}

func (w *writer) snapshot(s *actuation.Snapshot) {
	w.text(s.ID)
	w.text(string(s.Kind))
	w.text(s.PartnerID)
	w.text(s.MerchantID)
	w.text(string(s.Mode))
	w.text(s.CustomerID)
	w.text(s.SessionID)
	w.text(string(s.Currency))
	w.time(s.At)
	w.number(s.AmountMinor)
	w.number(s.Wallet.ActualMinor)
	w.number(s.Wallet.PromoAvailableMinor)
	w.bool(s.Wallet.Verified)
	w.count(len(s.Lots))
	for i := range s.Lots {
		l := &s.Lots[i]
		put(w, l.GrantID)
		w.number(l.RemainingMinor)
		w.time(l.ExpiresAt)
		w.time(l.IssuedAt)
	}
	w.allowance(&s.Allowance)
	put(w, s.Settings)
	put(w, s.Facts)
	put(w, s.Stored)
	w.time(s.StoredAt)
}

func (w *writer) allowance(a *actuation.Allowance) {
	w.number(a.MaxGrantMinor)
	w.number(a.MaxPoints)
	w.count(len(a.Sources))
	for _, s := range a.Sources {
		w.text(s)
	}
	w.count(len(a.Budgets))
	for _, b := range a.Budgets {
		w.text(b.BudgetID)
		w.number(b.RemainingMinor)
	}
}

func (w *writer) plan(p *actuation.Plan, lots []actuation.Lot) {
	w.text(p.SnapshotID)
	w.count(len(p.Effects))
	next := 0 // debits follow the lots
	for i := range p.Effects {
		e := &p.Effects[i]
		w.text(string(e.Kind))
		w.text(string(e.Class))
		w.number(e.AmountMinor)
		w.text(string(e.Currency))
		next = w.lot(e.GrantID, lots, next)
		w.text(e.Source)
		w.time(e.ExpiresAt)
		w.text(e.BudgetID)
		put(w, e.Data)
		w.text(e.Command)
	}
	put(w, p.Reasoning.Summary)
	w.text(p.Reasoning.Rule)
	put(w, p.Reasoning.Facts)
	w.text(p.Refusal)
}

// lot writes the number of a lot, counted from one; or zero and the id, where it
// is none of lots. It begins its search at next, and returns where the next one
// is likely to be.
func (w *writer) lot(id string, lots []actuation.Lot, next int) int {
	if id == "" {
		w.count(0)
		w.count(0)
		return next
	}
	for i := range lots {
		if at := (next + i) % len(lots); lots[at].GrantID == id {
			w.count(at + 1)
			return at + 1
		}
	}
	w.count(0)
	put(w, id)
	return next
}

func (w *writer) text(s string) {
	if s == "" {
		w.count(0)
		return
	}
	if at := slices.Index(w.numbered[:w.known], s); at >= 0 {
		w.count(at<<1 | 1)
		return
	}
	w.count(len(s) << 1)
	w.out = append(w.out, s...)
	if w.known < names {
		w.numbered[w.known] = s
		w.known++
	}
}

// put writes a document, or a text that has no number.
func put[T string | json.RawMessage](w *writer, s T) {
	w.count(len(s))
	w.out = append(w.out, s...)
}

func (w *writer) time(t time.Time) {
	if t.IsZero() {
		w.count(0)
		return
	}
	w.count(t.Nanosecond() + 1)
	w.number(t.Unix())
}

func (w *writer) bool(b bool) {
	n := 0
	if b {
		n = 1
	}
	w.count(n)
}

func (w *writer) count(n int)    { w.out = binary.AppendUvarint(w.out, uint64(n)) }
func (w *writer) number(n int64) { w.out = binary.AppendVarint(w.out, n) }
