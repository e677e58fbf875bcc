package checkout_test

import (
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

func TestAnUnidentifiedSaleEarnsNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.open("", coffee())
	tx := s.close(c.ID, cash(1275)).Sale.Transaction
	if tx.Ruling(actuation.KindCashback) != nil || tx.Buyer.CustomerID != "" || len(tx.Movements()) != 0 {
		t.Errorf("transaction = %+v", tx)
	}
	if r := tx.Ruling(actuation.KindAttribution); r == nil || r.State != checkout.Committed {
		t.Errorf("attribution = %+v", r)
	}
	s.replays(tx.TraceID)
}

// TestCashbackWaitsForWhatIsMissing holds rules 26 to 28: cashback accrues for
// any tender, and is LOCKED until the customer is verified and the gate is met.
func TestCashbackWaitsForWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		state identity.State
		gate  tenancy.ClaimGate
		want  core.GrantState
	}{
		{"verified", identity.Verified, tenancy.GateOnVerification, core.Released},
		{"not verified", identity.PendingProof, tenancy.GateOnVerification, core.Locked},
		{"verified, gate of the first top-up", identity.Verified, tenancy.GateOnFirstTopup, core.Locked},
		{"verified, gate of the first purchase", identity.Verified, tenancy.GateOnFirstPurchase, core.Released},
		{"not verified, gate of the first purchase", identity.PendingProof, tenancy.GateOnFirstPurchase, core.Locked},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(set *tenancy.Settings) { set.ClaimGate = c.gate })
			guest := s.guest(ann, c.state)
			sale := s.close(s.open(ann, coffee()).ID, cash(1275)).Sale
			if g := sale.Cashback; g == nil || g.State != c.want || g.AmountMinor != 63 { // 5 % of 12.75, rounded down
				t.Errorf("grant = %+v, want %s", g, c.want)
			}
			b := s.balance(guest)
			locked, available := int64(63), int64(0)
			if c.want == core.Released {
				locked, available = 0, 63
			}
			if b.PromoLockedMinor != locked || b.PromoAvailableMinor != available || b.ActualMinor != 0 {
				t.Errorf("balance = %+v", b)
			}
			s.sound()
		})
	}
}

func TestTheFirstPurchaseReleasesWhatWaitedForIt(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(set *tenancy.Settings) { set.ClaimGate = tenancy.GateOnFirstPurchase })
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	if b := s.balance(guest); b.PromoLockedMinor != 250 || b.PromoAvailableMinor != 0 {
		t.Fatalf("before: %+v", b)
	}
	s.close(s.open(ann, coffee()).ID, cash(1275))
	if b := s.balance(guest); b.PromoLockedMinor != 0 || b.PromoAvailableMinor != 250+63 {
		t.Errorf("after a sale in cash: %+v", b)
	}
	s.sound()
}

func TestTendersMustAddUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 5000)
	c := s.open(ann, coffee())
	p := s.pay(c.ID, s.code(guest), 1000)
	other := s.open(ann, coffee())
	foreign := s.pay(other.ID, s.code(guest), 1275)
	wallet := func(id string, amount int64) checkout.Tender {
		return checkout.Tender{Type: checkout.Wallet, AmountMinor: amount, PaymentID: id}
	}
	for name, tenders := range map[string][]checkout.Tender{
		"nothing":                   nil,
		"the payment left out":      cash(1275),
		"too little":                {wallet(p.ID, 1000), cash(274)[0]},
		"another session's payment": {wallet(foreign.ID, 1275)},
	} {
		_, err := s.Close(t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{SessionID: c.ID, Tenders: tenders})
		if !fault.Is(err, fault.CodeTendersMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tx := s.close(c.ID, []checkout.Tender{wallet(p.ID, 1000), {Type: "card", AmountMinor: 275, CardScheme: "visa", CardLastFour: "4242"}}).Sale.Transaction
	if tx.TotalMinor != 1275 || len(tx.Tenders) != 2 || tx.Tenders[1].CardLastFour != "4242" {
		t.Errorf("transaction = %+v", tx)
	}
}

func TestAnEmptySessionIsNotClosedButAFreeOneIs(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	opened, err := s.Open(t.Context(), s.call("openCheckoutSession"), uses.OpenInput{Currency: "USD"})
	s.must(err)
	_, err = s.Close(t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{SessionID: opened.View.Session.ID})
	wantCode(t, err, fault.CodeStateConflict)
	s.guest(ann, identity.Verified)
	free := s.open(ann, checkout.Draft{Lines: []checkout.Line{{LineID: "1", SKU: "SAMPLE", Quantity: 1}}})
	tx := s.close(free.ID, nil).Sale.Transaction
	if r := tx.Ruling(actuation.KindCashback); tx.TotalMinor != 0 || r.State != checkout.Refused || r.GrantID != "" {
		t.Errorf("transaction = %+v", tx)
	}
}

// TestASaleWaitsForNoActuator closes while the actuators are away, and has the
// decisions taken by the background worker once they are back.
func TestASaleWaitsForNoActuator(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.actuators.fail(actuation.KindCashback, actuation.KindAttribution)
	closed := s.close(s.open(ann, coffee()).ID, cash(1275))
	for _, r := range closed.Sale.Transaction.Rulings {
		if r.State != checkout.Pending {
			t.Errorf("%s is %s", r.Kind, r.State)
		}
	}
	if len(closed.Sale.Transaction.Rulings) != 2 || s.balance(guest).PromoAvailableMinor != 0 || len(s.events("decision.made")) != 0 {
		t.Fatalf("closed = %+v", closed.Sale)
	}
	if n, err := s.transactions.Retry(t.Context()); n != 0 || err != nil {
		t.Errorf("with the actuators away: %d, %v", n, err)
	}
	s.actuators.fail()
	if n, err := s.transactions.Retry(t.Context()); n != 0 || err != nil {
		t.Errorf("before the lease ended: %d, %v", n, err)
	}
	s.clock.Advance(time.Minute)
	var wg sync.WaitGroup
	var mu sync.Mutex
	decided := 0
	for range 4 {
		wg.Go(func() {
			n, err := s.transactions.Retry(t.Context())
			mu.Lock()
			defer mu.Unlock()
			decided += n
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	tx, err := s.uow.Read().Checkout.Transaction(t.Context(), s.tenant, closed.Sale.Transaction.ID)
	s.must(err)
	cashback, attribution := tx.Ruling(actuation.KindCashback), tx.Ruling(actuation.KindAttribution)
	if decided != 2 || cashback.State != checkout.Committed || cashback.AmountMinor != 63 || attribution.State != checkout.Committed {
		t.Errorf("%d decided: %+v, %+v", decided, cashback, attribution)
	}
	if b := s.balance(guest); b.PromoAvailableMinor != 63 {
		t.Errorf("balance = %+v", b)
	}
	if n := len(s.events("decision.made")); n != 2 {
		t.Errorf("%d decisions were told", n)
	}
	s.replays(cashback.TraceID)
	s.replays(attribution.TraceID)
	s.sound()
}

// TestASessionThatMovesIsPlannedAnew changes the session while its actuators
// are asked: what they planned for the old one must not be committed.
func TestASessionThatMovesIsPlannedAnew(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.guest(ann, identity.Verified)
	c := s.open(ann, coffee())
	once := sync.OnceFunc(func() {
		d := coffee()
		d.Lines[1].Quantity = 2
		if _, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: c.ID, Expected: 1, Draft: d}); err != nil {
			t.Error(err)
		}
	})
	s.actuators.asked = once
	_, err := s.Close(t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
	wantCode(t, err, fault.CodeTendersMismatch)
	if tx := s.close(c.ID, cash(1650)).Sale.Transaction; tx.TotalMinor != 1650 || tx.Ruling(actuation.KindCashback).AmountMinor != 82 {
		t.Errorf("transaction = %+v", tx)
	}
}

func TestASessionThatKeepsMovingIsAConflict(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.guest(ann, identity.Verified)
	c := s.open(ann, coffee())
	s.actuators.asked = func() {
		now := s.session(c.ID)
		if _, err := s.ReviseBasket(t.Context(), s.call("reviseBasket"), uses.ReviseInput{SessionID: c.ID, Expected: now.BasketRevision, Draft: coffee()}); err != nil {
			t.Error(err)
		}
	}
	_, err := s.Close(t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
	wantCode(t, err, fault.CodeStateConflict)
	if now := s.session(c.ID); now.State != checkout.Open || now.BasketRevision != 4 {
		t.Errorf("session = %+v", now)
	}
}

func TestARequiredActuatorHoldsTheSaleUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.guest(ann, identity.Verified)
	required := *s.actuators.by[actuation.KindCashback]
	required.manifest.Policy = actuation.Required
	required.server = broken{required.server}
	s.actuators.by[actuation.KindCashback] = &required
	c := s.open(ann, coffee())
	_, err := s.Close(t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{SessionID: c.ID, Tenders: cash(1275)})
	wantCode(t, err, fault.CodeActuatorUnavailable)
	if now := s.session(c.ID); now.State != checkout.Open || now.Version != c.Version {
		t.Errorf("the failed close changed the session: %+v", now)
	}
}

// TestAnAppliedCashbackOfferIsGranted gives what an applied cashback offer is
// worth beside the merchant's own cashback, out of the budget that held it.
func TestAnAppliedCashbackOfferIsGranted(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	call := s.call("createBudget")
	made, err := s.offers.CreateBudget(t.Context(), call, incentives.CreateBudgetInput{Name: "Launch", Currency: "USD", CapMinor: 1000, FundedBy: "brand"})
	s.must(err)
	budget := made.Budget
	offer, err := s.offers.CreateOffer(t.Context(), s.call("createOffer"), incentives.CreateOfferInput{Definition: offers.Definition{
		Kind: offers.Cashback, Name: "Coffee back", Title: "1.00 back on coffee", Currency: "USD",
		Value:   offers.Value{Type: offers.ValueCashback, AmountMinor: 100, Per: offers.PerBasket},
		Targets: offers.Targets{Categories: []string{"coffee"}}, Funding: offers.Funding{BudgetID: budget.ID, FundedBy: "brand"},
		Redemption: []string{offers.MethodApply},
	}, Active: true})
	s.must(err)
	c := s.open(ann, coffee())
	_, err = s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: offer.ID, SessionID: c.ID})
	s.must(err)
	s.close(c.ID, cash(1275))
	lots, err := s.uow.Read().Ledger.GrantsOf(t.Context(), s.tenant, guest, core.GrantFilter{Source: core.SourceOffer, Limit: 5})
	s.must(err)
	if len(lots) != 1 || lots[0].AmountMinor != 100 || lots[0].BudgetID != budget.ID || lots[0].State != core.Released {
		t.Errorf("lots = %+v", lots)
	}
	if b := s.balance(guest); b.PromoAvailableMinor != 163 {
		t.Errorf("balance = %+v", b)
	}
	after, err := s.uow.Read().Offers.Budget(t.Context(), s.tenant, budget.ID)
	if err != nil || after.SpentMinor != 100 || after.CommittedMinor != 0 {
		t.Errorf("budget = %+v, %v", after, err)
	}
	s.sound()
}

// An applied points offer earns its points with the sale that redeems it, for
// as long as the merchant lets points live.
func TestAnAppliedPointsOfferIsEarned(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(set *tenancy.Settings) { set.PointsExpiryDays = 30 })
	o, err := s.offers.CreateOffer(t.Context(), s.call("createOffer"), incentives.CreateOfferInput{Active: true, Definition: offers.Definition{
		Kind: offers.Points, Title: "5 points per latte", Value: offers.Value{Type: offers.ValuePoints, Points: 5, Per: offers.PerUnit},
		Targets: offers.Targets{SKUs: []string{"LATTE"}},
	}})
	s.must(err)
	customer := s.guest("+14155550123", identity.Verified)
	session := s.open("+14155550123", coffee())
	_, err = s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: o.ID, SessionID: session.ID})
	s.must(err)
	tx := s.close(session.ID, cash(1275)).Sale.Transaction
	a, err := s.uow.Read().Ledger.PointsOf(t.Context(), s.tenant, customer)
	s.must(err)
	if a.Balance != 10 || len(a.Lots) != 1 || a.Lots[0].ReferenceID != tx.ID || a.Lots[0].ExpiresAt == nil || !a.Lots[0].ExpiresAt.Equal(start.AddDate(0, 0, 30)) {
		t.Errorf("%+v", a)
	}
	if n := len(s.events("points.moved")); n != 1 {
		t.Errorf("points.moved is told %d times", n)
	}
	s.sound()
}
