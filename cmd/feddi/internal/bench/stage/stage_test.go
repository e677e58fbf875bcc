package stage_test

import (
	"context"
	"testing"

	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	core "github.com/feddi/feddi/core/ledger"
)

// TestTheStageIsWhatUseCasesLeave: the ledger follows from its postings, and
// the stores read wallets, lots, codes and sessions as if they had written them.
func TestTheStageIsWhatUseCasesLeave(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	uow := postgres.New(db, nil, nil)
	uses := &sandbox.Service{UoW: uow, Clock: clock.System{}, IDs: ids.New(clock.System{})}
	s, err := stage.Open(t.Context(), db, 3, func(ctx context.Context, in sandbox.Input) (sandbox.Credentials, error) {
		return uses.Create(ctx, &app.Call{}, in)
	})
	must(t, err)
	must(t, s.Guests(t.Context(), 20))
	codes, err := s.Mint(t.Context(), stage.Order{Codes: 90, Sessions: true})
	must(t, err)
	defer codes.Close()
	must(t, s.Settle(t.Context()))
	must(t, s.History(t.Context(), 240, nil))

	examined, findings, err := core.Verify(t.Context(), ledger.NewAudit(db), func(f core.Finding) { t.Error(f) })
	must(t, err)
	// 20 deposits, 120 old payments, and for every nine codes a guest with a
	// deposit and six lots.
	if findings != 0 || codes.Len() != 90 || examined.Entries != 20+120+10*7 {
		t.Errorf("%d findings, %d codes, %+v", findings, codes.Len(), examined)
	}
	withLots, values := 0, map[string]bool{}
	for i := range codes.Len() {
		c := codes.At(i)
		values[string(c.Value)] = true
		if readCode(t, uow, s, c) {
			withLots++
		}
	}
	if withLots*3 != codes.Len() || len(values) != codes.Len() {
		t.Errorf("%d of %d codes, %d of them different, lead to lots; a third should", withLots, codes.Len(), len(values))
	}
}

// readCode reads what a code leads to, and reports whether that has lots.
func readCode(t *testing.T, uow *postgres.UnitOfWork, s *stage.Stage, c stage.Code) bool {
	t.Helper()
	tenant, st := s.Merchants[c.Merchant].Merchant.Tenant(), uow.Read()
	hash := identity.HashCode(tenant, identity.Credential{Type: identity.QR, Value: string(c.Value)})
	code, err := st.Identity.Code(t.Context(), tenant, hash)
	must(t, err)
	customer, err := st.Identity.Customer(t.Context(), tenant, code.CustomerID)
	must(t, err)
	balance, err := st.Ledger.Balance(t.Context(), tenant, code.CustomerID)
	must(t, err)
	session, err := st.Checkout.Session(t.Context(), tenant, string(c.Session))
	must(t, err)
	basket, err := st.Checkout.Basket(t.Context(), tenant, session.ID, session.BasketRevision)
	must(t, err)
	amount := int64(c.Amount[0]-'0')*100 + int64(c.Amount[1]-'0')*10 + int64(c.Amount[2]-'0')
	if customer.State != identity.Verified || customer.Usable() != nil || session.DueMinor() != amount || basket.TotalMinor != amount ||
		session.CustomerID != customer.ID || balance.ActualMinor < amount {
		t.Errorf("customer %+v, session %+v, balance %+v, amount %d", customer, session, balance, amount)
	}
	if len(balance.Grants) == 0 {
		return false
	}
	// Every payment of such a guest empties a lot and begins another one.
	if lot := balance.Grants[0].RemainingMinor; amount <= lot || balance.PromoAvailableMinor != 6*lot || 3*amount > balance.PromoAvailableMinor+3*19 {
		t.Errorf("amount %d of lots %+v", amount, balance.Grants)
	}
	return true
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
