package stage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	mathrand "math/rand/v2"
	"time"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
)

// Code is one payment that can be made: a code that is good once, and where
// asked for a session that owes just the amount.
type Code struct {
	Merchant int    // in Stage.Merchants
	Value    []byte // 29 bytes
	Session  []byte // 29 bytes
	Amount   []byte // 3 digits
}

// CodeLife is how long a code is good: the most that a merchant may set.
const CodeLife = 15 * time.Minute

// Order says what codes to mint.
type Order struct {
	Codes    int
	Sessions bool
	// Tick, where set, hears how many are done.
	Tick func(n int)
}

// perGuest is how many codes come with one new guest: its own, and twice as
// many of guests that hold no lots.
const perGuest = 3 * paysOf

// Mint makes codes in random order, as many as asked for or a few more. A third
// of the payments that they make spend two or more lots; the guests of those
// are new, the others are drawn from those of Guests.
func (s *Stage) Mint(ctx context.Context, o Order) (*Magazine, error) {
	out, err := newMagazine((o.Codes + perGuest - 1) / perGuest * perGuest)
	if err != nil {
		return nil, err
	}
	for at := 0; at < out.Len(); {
		r := rows{}
		for range min(chunk, out.Len()-at+perGuest-1) / perGuest {
			g := s.enrol(r, s.phones%len(s.Merchants), s.lots())
			for i := range perGuest {
				if i < paysOf {
					s.code(r, out, at, g, between(lotPayFrom, lotPayTo), o.Sessions)
				} else {
					s.code(r, out, at, s.plain[mathrand.IntN(len(s.plain))], between(payFrom, payTo), o.Sessions)
				}
				at++
			}
		}
		if err := s.write(ctx, r); err != nil {
			out.Close()
			return nil, err
		}
		if o.Tick != nil {
			o.Tick(at)
		}
	}
	out.shuffle()
	return out, nil
}

func (s *Stage) code(r rows, out *Magazine, at int, g guest, minor int64, session bool) {
	m, now := s.Merchants[g.merchant], s.clock.Now()
	tenant := m.Merchant.Tenant()
	value, _ := identity.NewCode(rand.Reader, identity.QR) // crypto/rand never fails
	hash := identity.HashCode(tenant, identity.Credential{Type: identity.QR, Value: value})
	r.add(&codes, hash, tenant.No, g.id, string(identity.QR), now.Add(CodeLife))
	id := ""
	if session {
		id = s.session(r, m, g, minor, now)
	}
	out.put(at, g.merchant, value, id, minor)
}

// session writes an open session of the guest that owes minor.
func (s *Stage) session(r rows, m *Merchant, g guest, minor int64, now time.Time) string {
	id, tenant := s.ids.Make(ids.Session), m.Merchant.Tenant().No
	lines, _ := json.Marshal([]checkout.Line{{ // texts and numbers always marshal
		LineID: "1", SKU: "LATTE", Category: "coffee", Quantity: 1, UnitPriceMinor: minor, TotalMinor: minor,
	}})
	r.add(&sessions, id, tenant, string(checkout.Open), Currency, checkout.OriginPOS, checkout.DefaultChannel, m.Brand.ID, m.Branch.ID,
		m.Terminal.ID, g.id, string(identity.Phone), int64(1), minor, now, now.Add(time.Hour))
	r.add(&baskets, id, int64(1), tenant, Currency, lines, minor, int64(0), int64(0), minor, now)
	return id
}
