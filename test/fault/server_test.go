package fault_test

import (
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/test/internal/trade"
)

func TestServerKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 8)
	load := s.shop.Load(t.Context(), 8)
	for range 5 {
		must(t, load.Taken(t.Context(), 40))
		s.server.Kill()
		s.again()
	}
	must(t, load.Taken(t.Context(), 40))
	s.settle(load, dsn)
}

func TestOneOfManyPaymentsFits(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 0)
	must(t, s.shop.Enrol(t.Context(), 1, 999)) // no bonus
	guest := s.shop.Guests[0]
	payments := make([]*trade.Payment, 64)
	for i := range payments {
		var err error
		payments[i], err = s.shop.NewPayment(t.Context(), guest, 999)
		must(t, err)
	}
	answers := together(payments, func(p *trade.Payment) trade.Answer { return s.shop.Send(t.Context(), p) })
	counts := map[string]int{}
	for _, a := range answers {
		counts[a.String()]++
	}
	if counts["201 "] != 1 || counts["402 INSUFFICIENT_FUNDS"] != len(payments)-1 {
		t.Fatalf("answers %v", counts)
	}
	b := books(t, dsn)
	must(t, b.Sound(t.Context()))
	balance, err := s.shop.Balance(t.Context(), guest)
	must(t, err)
	if balance.ActualMinor != 0 {
		t.Errorf("the wallet has %+v", balance)
	}
}
