package fault_test

import (
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/test/internal/rig"
	"github.com/feddi/feddi/test/internal/trade"
)

func TestServerKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 8)
	load := s.Shop.Load(t.Context(), 8)
	for range 4 {
		rig.Must(t, load.Taken(t.Context(), 40))
		s.Server.Kill()
		s.Again()
	}
	rig.Must(t, load.Taken(t.Context(), 40))
	s.Settle(load, dsn)
}

func TestOneOfManyPaymentsFits(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 0)
	rig.Must(t, s.Shop.Enrol(t.Context(), 1, 999)) // no bonus
	guest := s.Shop.Guests[0]
	payments := make([]*trade.Payment, 64)
	for i := range payments {
		var err error
		payments[i], err = s.Shop.NewPayment(t.Context(), guest, 999)
		rig.Must(t, err)
	}
	answers := together(payments, func(p *trade.Payment) trade.Answer { return s.Shop.Send(t.Context(), &p.Intent) })
	counts := map[string]int{}
	for _, a := range answers {
		counts[a.String()]++
	}
	if counts["201 "] != 1 || counts["402 INSUFFICIENT_FUNDS"] != len(payments)-1 {
		t.Fatalf("answers %v", counts)
	}
	b := rig.Books(t, dsn)
	rig.Must(t, b.Sound(t.Context()))
	balance, err := s.Shop.Balance(t.Context(), guest)
	rig.Must(t, err)
	if balance.ActualMinor != 0 {
		t.Errorf("the wallet has %+v", balance)
	}
}
