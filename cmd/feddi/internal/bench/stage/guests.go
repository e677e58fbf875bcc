package stage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// chunk is how many guests one transaction writes.
const chunk = 2_000

// purse is the actual money of every guest: nobody runs out of it.
const purse = 1_000_000_000

// What a guest with promotional credit holds: lots that last for paysOf
// payments, each of which spends two lots or more whatever it leaves behind.
const (
	lotsOf   = 6
	lotMinor = 60
	paysOf   = 3
	// A payment of such a guest: more than one lot, and three of them less than all.
	lotPayFrom, lotPayTo = 100, 119
	// Any other payment.
	payFrom, payTo = 100, 499
)

// Guests enrols and funds n guests, spread over the merchants.
func (s *Stage) Guests(ctx context.Context, n int) error {
	for done := 0; done < n; {
		r := rows{}
		for range min(chunk, n-done) {
			s.plain = append(s.plain, s.enrol(r, (len(s.plain))%len(s.Merchants), nil))
			done++
		}
		if err := s.write(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// enrol writes a verified guest with a purse and with lots.
func (s *Stage) enrol(r rows, merchant int, lots []ledger.Grant) guest {
	m, now := s.Merchants[merchant], s.clock.Now()
	g, tenant := guest{merchant, s.ids.Make(ids.Customer)}, m.Merchant.Tenant().No
	s.phones++
	r.add(&customers, g.id, tenant, fmt.Sprintf("+1555%08d", s.phones), "", string(identity.Verified), now, now, now)
	s.deposit(r, g, tenant, now)
	var promo int64
	for _, lot := range lots {
		promo += lot.AmountMinor
		s.grant(r, g, tenant, lot, now)
	}
	// One version for the wallet, one for the deposit, one for each lot.
	r.add(&wallets, tenant, g.id, Currency, int64(purse), promo, int64(2+len(lots)), now)
	return g
}

// deposit writes the completed top-up behind a guest's purse.
func (s *Stage) deposit(r rows, g guest, tenant int32, now time.Time) {
	top, entry := s.ids.Make(ids.Topup), s.ids.Make(ids.Entry)
	r.add(&topups, top, tenant, g.id, string(ledger.TopupCompleted), int64(purse), Currency, string(ledger.TopupByProvider),
		ledger.ProviderFor(Currency), "bench-"+top, entry, now.Add(ledger.PendingLife), now, now)
	enter(r, entry, tenant, ledger.EntryTopup, top, now, money.Actual, purse, ledger.Account{Kind: ledger.AccountTopupClearing},
		ledger.Account{Kind: ledger.AccountWallet, Owner: g.id})
}

func (s *Stage) grant(r rows, g guest, tenant int32, lot ledger.Grant, now time.Time) {
	entry := s.ids.Make(ids.Entry)
	r.add(&grants, lot.ID, tenant, g.id, string(ledger.SourceGoodwill), string(ledger.Released), lot.AmountMinor, lot.AmountMinor,
		Currency, *lot.ExpiresAt, "merchant", now, now, []string{entry})
	enter(r, entry, tenant, ledger.EntryGrant, lot.ID, now, money.Promo, lot.AmountMinor, ledger.Account{Kind: ledger.AccountPromoExpense},
		ledger.Account{Kind: ledger.AccountLot, Owner: lot.ID})
}

// classes are the numbers of the money classes in the lines of entries.
var classes = map[money.Class]int16{money.Actual: 1, money.Promo: 2}

// enter writes an entry of two lines, which moves minor from one account to another.
func enter(r rows, id string, tenant int32, kind ledger.EntryKind, ref string, at time.Time, class money.Class, minor int64, from, to ledger.Account) {
	no := classes[class]
	r.add(&entries, id, tenant, string(kind), ref, at, Currency, []int16{int16(from.Kind), int16(to.Kind)}, []int16{no, no},
		[]*string{nil, &to.Owner}, []int64{-minor, minor})
}

// lots are what a guest with promotional credit holds, in different months.
func (s *Stage) lots() []ledger.Grant {
	out := make([]ledger.Grant, lotsOf)
	for i := range out {
		until := s.clock.Now().Add(time.Duration(i+1) * 30 * 24 * time.Hour)
		out[i] = ledger.Grant{ID: s.ids.Make(ids.Grant), AmountMinor: lotMinor, ExpiresAt: &until}
	}
	return out
}

func between(from, to int64) int64 { return from + rand.Int64N(to-from+1) }
