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
	Merchant int // in Stage.Merchants
	Value    [29]byte
	Session  [29]byte
	Amount   [3]byte
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

// Mint makes codes in random order. A third of the payments that they make
// spend two or more lots; the guests of those are new, the others are drawn
// from those of Guests.
func (s *Stage) Mint(ctx context.Context, o Order) ([]Code, error) {
	out := make([]Code, 0, o.Codes)
	for len(out) < o.Codes {
		r := rows{}
		for range min(chunk, o.Codes-len(out))/(3*paysOf) + 1 {
			g := s.enrol(r, s.phones%len(s.Merchants), s.lots())
			for range paysOf {
				out = append(out, s.code(r, g, between(lotPayFrom, lotPayTo), o.Sessions))
			}
			for range 2 * paysOf {
				g := s.plain[mathrand.IntN(len(s.plain))]
				out = append(out, s.code(r, g, between(payFrom, payTo), o.Sessions))
			}
		}
		if err := s.write(ctx, r); err != nil {
			return nil, err
		}
		if o.Tick != nil {
			o.Tick(len(out))
		}
	}
	mathrand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, nil
}

func (s *Stage) code(r rows, g guest, minor int64, session bool) Code {
	m, now := s.Merchants[g.merchant], s.clock.Now()
	tenant := m.Merchant.Tenant()
	value, _ := identity.NewCode(rand.Reader, identity.QR) // crypto/rand never fails
	c := Code{Merchant: g.merchant, Amount: [3]byte{byte('0' + minor/100), byte('0' + minor/10%10), byte('0' + minor%10)}}
	copy(c.Value[:], value)
	hash := identity.HashCode(tenant, identity.Credential{Type: identity.QR, Value: value})
	r.add(&codes, hash, tenant.No, g.id, string(identity.QR), now.Add(CodeLife))
	if session {
		copy(c.Session[:], s.session(r, m, g, minor, now))
	}
	return c
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
