package record

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// reader takes from rest. Once it is torn, all that it reads is empty.
type reader struct {
	rest     []byte
	numbered []string
	torn     bool
}

func (r *reader) decision() Decision {
	d := Decision{Actuator: r.text(), Version: r.text()}
	d.Snapshot = r.snapshot()
	d.Plan = r.plan(d.Snapshot.Lots)
	return d
}

func (r *reader) snapshot() actuation.Snapshot {
	s := actuation.Snapshot{
		ID: r.text(), Kind: actuation.Kind(r.text()), PartnerID: r.text(), MerchantID: r.text(), Mode: tenancy.Mode(r.text()),
		CustomerID: r.text(), SessionID: r.text(), Currency: money.Currency(r.text()), At: r.time(), AmountMinor: r.number(),
		Wallet: actuation.Wallet{ActualMinor: r.number(), PromoAvailableMinor: r.number(), Verified: r.bool()},
	}
	const smallestLot = 4 // bytes: an empty id, zero, and no times
	if n := r.length(smallestLot); n > 0 {
		s.Lots = make([]actuation.Lot, n)
	}
	for i := range s.Lots {
		s.Lots[i] = actuation.Lot{GrantID: string(r.bytes()), RemainingMinor: r.number(), ExpiresAt: r.time(), IssuedAt: r.time()}
	}
	s.Allowance = r.allowance()
	s.Settings, s.Facts, s.Stored, s.StoredAt = r.document(), r.document(), r.document(), r.time()
	return s
}

func (r *reader) allowance() actuation.Allowance {
	a := actuation.Allowance{MaxGrantMinor: r.number(), MaxPoints: r.number()}
	for range r.length(1) {
		a.Sources = append(a.Sources, r.text())
	}
	for range r.length(2) {
		a.Budgets = append(a.Budgets, actuation.Budget{BudgetID: r.text(), RemainingMinor: r.number()})
	}
	return a
}

func (r *reader) plan(lots []actuation.Lot) actuation.Plan {
	p := actuation.Plan{SnapshotID: r.text()}
	const smallestEffect = 10 // bytes: one for each member
	if n := r.length(smallestEffect); n > 0 {
		p.Effects = make([]actuation.Effect, n)
	}
	for i := range p.Effects {
		p.Effects[i] = actuation.Effect{
			Kind: actuation.EffectKind(r.text()), Class: money.Class(r.text()), AmountMinor: r.number(), Currency: money.Currency(r.text()),
			GrantID: r.lot(lots), Source: r.text(), ExpiresAt: r.time(), BudgetID: r.text(), Data: r.document(), Command: r.text(),
		}
	}
	p.Reasoning = actuation.Reasoning{Summary: string(r.bytes()), Rule: r.text(), Facts: r.document()}
	p.Refusal = r.text()
	return p
}

func (r *reader) lot(lots []actuation.Lot) string {
	n := r.count()
	switch {
	case n == 0:
		return string(r.bytes())
	case n > uint64(len(lots)):
		r.tear()
		return ""
	}
	return lots[n-1].GrantID
}

func (r *reader) text() string {
	n := r.count()
	if n&1 == 0 {
		s := string(r.take(n >> 1))
		if s != "" && len(r.numbered) < names {
			r.numbered = append(r.numbered, s)
		}
		return s
	}
	if n>>1 >= uint64(len(r.numbered)) {
		r.tear()
		return ""
	}
	return r.numbered[n>>1]
}

// document is a copy, so that it does not hold the whole record; nil where empty.
func (r *reader) document() json.RawMessage { return append(json.RawMessage(nil), r.bytes()...) }

func (r *reader) bytes() []byte { return r.take(r.count()) }

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.tear()
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) time() time.Time {
	nanos := r.count()
	if nanos == 0 {
		return time.Time{}
	}
	if nanos > uint64(time.Second) {
		r.tear()
		return time.Time{}
	}
	return time.Unix(r.number(), int64(nanos)-1).UTC()
}

func (r *reader) bool() bool { return r.count() != 0 }

// length is that of a list whose elements take at least smallest bytes each.
func (r *reader) length(smallest int) int {
	n := r.count()
	if n > uint64(len(r.rest)/smallest) {
		r.tear()
		return 0
	}
	return int(n)
}

func (r *reader) count() uint64 {
	n, size := binary.Uvarint(r.rest)
	return advance(r, n, size)
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.rest)
	return advance(r, n, size)
}

// advance goes past what was read from size bytes; nothing was where that is not
// positive.
func advance[N int64 | uint64](r *reader, n N, size int) N {
	if size <= 0 {
		r.tear()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) tear() { r.rest, r.torn = nil, true }
