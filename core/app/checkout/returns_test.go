package checkout_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
)

func (s *shop) voidPayment(id string) (returns.Outcome, error) {
	return s.returns.Void(s.t.Context(), s.call("redeemVoid"), returns.VoidInput{PaymentID: id})
}

func (s *shop) refund(id string, amount int64) (returns.Outcome, error) {
	return s.returns.Refund(s.t.Context(), s.call("refundCreate"), returns.RefundInput{PaymentID: id, AmountMinor: amount})
}

func (s *shop) voidSale(id string) (returns.Voided, error) {
	return s.returns.VoidTransaction(s.t.Context(), s.call("voidTransaction"), returns.VoidTransactionInput{TransactionID: id, Reason: "Wrong customer"})
}

func (s *shop) transaction(id string) transactions.View {
	s.t.Helper()
	v, err := s.transactions.Get(s.t.Context(), s.call("getTransaction"), transactions.GetInput{IntegrationID: s.tenant.PartnerID, TransactionID: id})
	s.must(err)
	return v
}

// byStatus lists the transactions of a status, a page of one at a time.
func (s *shop) byStatus(status checkout.Status) (ids []string) {
	s.t.Helper()
	in := transactions.ListInput{IntegrationID: s.tenant.PartnerID, IncludeUnidentified: true, Status: string(status), Limit: 1}
	for {
		p, err := s.transactions.List(s.t.Context(), s.call("listTransactions"), in)
		s.must(err)
		for _, tx := range p.Transactions {
			if tx.Status() != status {
				s.t.Errorf("%s is listed as %s and shows %s", tx.ID, status, tx.Status())
			}
			ids = append(ids, tx.ID)
		}
		if in.Cursor = p.Next; in.Cursor == "" {
			return ids
		}
	}
}

// bought is a guest's session that was paid from the wallet and closed: 1275,
// by 250 of promo and 1025 of actual money, which earns 63 of cashback.
func (s *shop) bought(guest string) (checkout.Transaction, core.Payment) {
	s.t.Helper()
	s.topUp(guest, 2500)
	c := s.open(ann, coffee())
	p := s.pay(c.ID, s.code(guest), 1275)
	closed := s.close(c.ID, []checkout.Tender{{Type: checkout.Wallet, AmountMinor: 1275, PaymentID: p.ID}})
	return closed.Sale.Transaction, p
}

// What goes back of a payment in an open session is due again, and the sale is
// of what is left.
func TestGivingBackInAnOpenSession(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	c := s.open(ann, coffee())
	p := s.pay(c.ID, s.code(guest), 1275)
	if _, err := s.voidPayment(p.ID); err != nil {
		t.Fatal(err)
	}
	if c := s.session(c.ID); c.PaidMinor != 0 || c.DueMinor() != 1275 {
		t.Errorf("after the void: %+v", c)
	}
	if b := s.balance(guest); b.ActualMinor != 2500 || b.PromoAvailableMinor != 250 {
		t.Errorf("balance %+v", b)
	}
	p = s.pay(c.ID, s.code(guest), 1000)
	if _, err := s.refund(p.ID, 400); err != nil {
		t.Fatal(err)
	}
	if c := s.session(c.ID); c.DueMinor() != 675 {
		t.Errorf("after the refund: due %d", c.DueMinor())
	}
	closed := s.close(c.ID, []checkout.Tender{{Type: checkout.Wallet, AmountMinor: 600, PaymentID: p.ID}, {Type: "cash", AmountMinor: 675}})
	tx := closed.Sale.Transaction
	if tx.TotalMinor != 1275 || tx.Status() != checkout.Completed || s.transaction(tx.ID).Transaction.Standing.RefundedMinor != 0 {
		t.Errorf("what went back before the sale is no part of it: %+v", tx)
	}
	_, err := s.voidPayment(p.ID)
	wantCode(t, err, fault.CodeStateConflict)
	s.sound()
}

// A payment of a closed session is not voided alone: the refusal names the sale.
func TestVoidAfterTheClosePointsToTheSale(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tx, p := s.bought(s.guest(ann, identity.Verified))
	_, err := s.voidPayment(p.ID)
	wantCode(t, err, fault.CodeStateConflict)
	if !strings.Contains(err.Error(), "/transactions/"+tx.ID+"/void") {
		t.Errorf("the refusal does not say what to do: %v", err)
	}
	s.sound()
}

// A refund stands beside the sale, which never changes (rule 54), and shows in
// every read of it.
func TestRefundBesideASale(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	tx, p := s.bought(guest)
	other := s.close(s.open("", coffee()).ID, cash(1275)).Sale.Transaction
	if _, err := s.refund(p.ID, 1000); err != nil {
		t.Fatal(err)
	}
	v := s.transaction(tx.ID).Transaction
	if v.Status() != checkout.PartiallyRefunded || v.Standing.RefundedMinor != 1000 || v.LeftMinor() != 275 {
		t.Errorf("%s, %+v", v.Status(), v.Standing)
	}
	r, err := s.transactions.Receipt(t.Context(), s.call("getReceipt"), transactions.ReceiptInput{TransactionID: tx.ID})
	if err != nil || r.Receipt.Status != checkout.PartiallyRefunded || r.Receipt.RefundedMinor != 1000 {
		t.Errorf("receipt %+v, %v", r.Receipt, err)
	}
	if got := s.byStatus(checkout.PartiallyRefunded); !slices.Equal(got, []string{tx.ID}) {
		t.Errorf("partially refunded: %v", got)
	}
	if got := s.byStatus(checkout.Completed); !slices.Equal(got, []string{other.ID}) {
		t.Errorf("completed: %v", got)
	}
	if _, err := s.refund(p.ID, 0); err != nil {
		t.Fatal(err)
	}
	if got := s.byStatus(checkout.Refunded); !slices.Equal(got, []string{tx.ID}) {
		t.Errorf("refunded: %v", got)
	}
	v.Standing, v.Rulings, tx.Rulings = tx.Standing, nil, nil
	if diff := cmp.Diff(tx, v); diff != "" {
		t.Errorf("the record changed:\n%s", diff)
	}
	if b := s.balance(guest); b.ActualMinor != 2500 || b.PromoAvailableMinor != 313 { // the cashback of 63 stays
		t.Errorf("balance %+v", b)
	}
	s.sound()
}

// A void takes back all that a sale moved: its payment, cashback, points, the
// use of its offers and what their budget spent.
func TestVoidTransaction(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	before := s.balance(guest)
	c := s.open(ann, coffee())
	offer := s.apply100(c.ID)
	p := s.pay(c.ID, s.code(guest), 1175)
	closed := s.close(c.ID, []checkout.Tender{{Type: checkout.Wallet, AmountMinor: 1175, PaymentID: p.ID}})
	tx := closed.Sale.Transaction
	_, err := s.points.Move(t.Context(), s.call("movePoints"), points.MoveInput{CustomerID: guest, Type: core.PointsEarn, Points: 117, ReferenceID: tx.ID})
	s.must(err)
	_, err = s.points.Move(t.Context(), s.call("movePoints"), points.MoveInput{CustomerID: guest, Type: core.PointsEarn, Points: 5, ReferenceID: "another"})
	s.must(err)

	out, err := s.voidSale(tx.ID)
	s.must(err)
	type taken struct {
		Type                ReversalKind
		Ref                 string
		Amount, Unrecovered int64
		Entry               bool
	}
	var got []taken
	for _, r := range out.Void.Reversals {
		got = append(got, taken{r.Type, r.ReferenceID, r.AmountMinor, r.UnrecoveredMinor, r.EntryID != ""})
	}
	want := []taken{
		{checkout.ReversalPayment, p.ID, 1175, 0, true}, {checkout.ReversalCashback, closed.Sale.Cashback.ID, 58, 0, true},
		{checkout.ReversalPoints, tx.ID, 117, 0, true}, {checkout.ReversalOffer, tx.Offers[0].ApplicationID, 100, 0, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reversals (-want +got):\n%s", diff)
	}
	if v := out.View; v.Transaction.Status() != checkout.Voided || v.Cashback.State != core.ClawedBack || v.Transaction.Standing.VoidedAt == nil {
		t.Errorf("view %+v", v)
	}
	after := s.balance(guest)
	if after.ActualMinor != before.ActualMinor || after.PromoAvailableMinor != before.PromoAvailableMinor || len(after.Grants) != len(before.Grants) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if a, err := s.points.Get(t.Context(), s.call("getPoints"), guest); err != nil || a.Balance != 5 || a.Earned != 5 {
		t.Errorf("points %+v, %v", a, err)
	}
	if n := s.count(`select count(*) from entries e join entries r on r.entry_id = e.reverses where e.kind in ('void', 'clawback') and e.tenant_no = r.tenant_no`); n != 2 {
		t.Errorf("%d contra entries name what they reverse", n)
	}
	if n := s.count(`select count(*) from offer_uses where offer_id = $1 and uses > 0`, offer); n != 0 {
		t.Errorf("%d counters still count the use", n)
	}
	if n := s.count(`select coalesce(sum(spent_minor + committed_minor), 0)::bigint from budgets`); n != 0 {
		t.Errorf("the budgets still have %d spent", n)
	}
	for kind, n := range map[string]int{"transaction.voided": 1, "payment.voided": 1, "offer.released": 1, "grant.clawed_back": 1} {
		if got := len(s.events(kind)); got != n {
			t.Errorf("%d events %s", got, kind)
		}
	}
	r, err := s.transactions.Receipt(t.Context(), s.call("getReceipt"), transactions.ReceiptInput{TransactionID: tx.ID})
	if err != nil || r.Receipt.Status != checkout.Voided {
		t.Errorf("receipt %+v, %v", r.Receipt, err)
	}
	if stored, err := s.uow.Read().Checkout.Void(t.Context(), s.tenant, tx.ID); err != nil || stored.Reason != "Wrong customer" || len(stored.Reversals) != 4 {
		t.Errorf("stored %+v, %v", stored, err)
	}
	if got := s.byStatus(checkout.Voided); !slices.Equal(got, []string{tx.ID}) {
		t.Errorf("voided: %v", got)
	}
	_, err = s.voidSale(tx.ID)
	wantCode(t, err, fault.CodeStateConflict)
	_, err = s.refund(p.ID, 1)
	wantCode(t, err, fault.CodeStateConflict)
	s.sound()
}

// ReversalKind shortens a table.
type ReversalKind = checkout.ReversalKind

// Cashback that was spent is never taken from actual money: the answer names
// what was not recovered, and what it paid does not come back to the customer.
func TestVoidOfASaleWhoseCashbackIsSpent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	tx, _ := s.bought(guest) // leaves 1475 of actual money and 63 of cashback
	later := s.pay("", s.code(guest), 100)
	if later.Debit.PromoMinor() != 63 {
		t.Fatalf("debit %+v", later.Debit)
	}
	actual := s.balance(guest).ActualMinor
	out, err := s.voidSale(tx.ID)
	s.must(err)
	i := slices.IndexFunc(out.Void.Reversals, func(r checkout.Reversal) bool { return r.Type == checkout.ReversalCashback })
	if r := out.Void.Reversals[i]; r.AmountMinor != 0 || r.UnrecoveredMinor != 63 || r.EntryID != "" {
		t.Errorf("cashback %+v", r)
	}
	if b := s.balance(guest); b.ActualMinor != actual+1025 || b.PromoAvailableMinor != 250 {
		t.Errorf("balance %+v", b)
	}
	back, err := s.refund(later.ID, 0)
	s.must(err)
	if r := back.Return; r.ActualMinor != 37 || r.PromoMinor != 0 || r.ForfeitedMinor != 63 {
		t.Errorf("refund of what the cashback paid: %+v", r)
	}
	s.sound()
}

// A cashback offer's budget gets back what the lot still holds, once.
func TestVoidOfASaleWithACashbackOffer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	made, err := s.offers.CreateBudget(t.Context(), s.call("createBudget"), incentives.CreateBudgetInput{Name: "Launch", Currency: "USD", CapMinor: 1000, FundedBy: "brand"})
	s.must(err)
	offer, err := s.offers.CreateOffer(t.Context(), s.call("createOffer"), incentives.CreateOfferInput{Definition: offers.Definition{
		Kind: offers.Cashback, Name: "Coffee back", Title: "1.00 back on coffee", Currency: "USD",
		Value:   offers.Value{Type: offers.ValueCashback, AmountMinor: 100, Per: offers.PerBasket},
		Targets: offers.Targets{Categories: []string{"coffee"}}, Funding: offers.Funding{BudgetID: made.Budget.ID, FundedBy: "brand"},
		Limits: offers.Limits{Total: 1}, Redemption: []string{offers.MethodApply},
	}, Active: true})
	s.must(err)
	take := func() checkout.Transaction {
		c := s.open(ann, coffee())
		_, err = s.offers.ApplyOffer(t.Context(), s.call("applyOffer"), incentives.TakeInput{OfferID: offer.ID, SessionID: c.ID})
		s.must(err)
		return s.close(c.ID, cash(1275)).Sale.Transaction
	}
	tx := take()
	spent := s.pay("", s.code(guest), 130) // of 100 + 63 of cashback
	if spent.Debit.PromoMinor() != 130 {
		t.Fatalf("debit %+v", spent.Debit)
	}
	out, err := s.voidSale(tx.ID)
	s.must(err)
	var back, lost int64
	for _, r := range out.Void.Reversals {
		back, lost = back+r.AmountMinor, lost+r.UnrecoveredMinor
	}
	if back != 33 || lost != 130 || s.balance(guest).PromoAvailableMinor != 0 {
		t.Errorf("%d came back and %d did not: %+v", back, lost, out.Void.Reversals)
	}
	b, err := s.uow.Read().Offers.Budget(t.Context(), s.tenant, made.Budget.ID)
	s.must(err)
	held := s.count(`select coalesce(sum(p.amount_minor), 0)::bigint from postings p where p.account = 7 and p.owner = $1`, made.Budget.ID)
	if b.SpentMinor != -held || b.CommittedMinor != 0 {
		t.Errorf("the budget has %d spent; the journal says %d", b.SpentMinor, -held)
	}
	take() // the one use is free again
	s.sound()
}

// A decision that is still to be taken about a voided sale is not taken.
func TestVoidCancelsPendingCashback(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.actuators.fail(actuation.KindCashback, actuation.KindAttribution)
	tx := s.close(s.open(ann, coffee()).ID, cash(1275)).Sale.Transaction
	if tx.Ruling(actuation.KindCashback).State != checkout.Pending {
		t.Fatalf("cashback %+v", tx.Ruling(actuation.KindCashback))
	}
	out, err := s.voidSale(tx.ID)
	s.must(err)
	if len(out.Void.Reversals) != 0 || out.View.Transaction.Ruling(actuation.KindCashback).State != checkout.Refused {
		t.Errorf("%+v", out)
	}
	s.actuators.fail()
	s.clock.Advance(time.Hour)
	if n, err := s.transactions.Retry(t.Context()); n != 0 || err != nil {
		t.Errorf("%d decisions were taken about a voided sale, %v", n, err)
	}
	if b := s.balance(guest); b.PromoAvailableMinor+b.PromoLockedMinor != 0 {
		t.Errorf("balance %+v", b)
	}
	s.sound()
}

// A sale is voided once, however many try at the same moment, and whoever
// refunds its payment meanwhile.
func TestVoidsTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	tx, p := s.bought(guest)
	var mu sync.Mutex
	voided, refunded := 0, int64(0)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = s.voidSale(tx.ID)
			} else {
				_, err = s.refund(p.ID, 10)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && i%2 == 0:
				voided++
			case err == nil:
				refunded += 10
			case !fault.Is(err, fault.CodeStateConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if voided != 1 {
		t.Errorf("voided %d times", voided)
	}
	if v := s.transaction(tx.ID).Transaction; v.Status() != checkout.Voided || v.Standing.RefundedMinor != refunded {
		t.Errorf("%s, refunded %d of %d", v.Status(), v.Standing.RefundedMinor, refunded)
	}
	if b := s.balance(guest); b.ActualMinor != 2500 || b.PromoAvailableMinor != 250 {
		t.Errorf("balance %+v", b)
	}
	s.sound()
}

// A payment alone is voided with its sale, whether the outbox recorded that
// before, and so does the cashback that it earned.
func TestVoidOfAPaymentAlone(t *testing.T) {
	t.Parallel()
	for name, recorded := range map[string]bool{"after its sale": true, "before its sale": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			guest := s.guest(ann, identity.Verified)
			s.topUp(guest, 2500)
			p := s.pay("", s.code(guest), 1000)
			tell := func() {
				for _, e := range s.events(core.EventPaymentSucceeded) {
					s.must(s.transactions.FromPayment(t.Context(), e))
				}
			}
			if recorded {
				tell()
			}
			out, err := s.voidPayment(p.ID)
			s.must(err)
			if b := s.balance(guest); b.ActualMinor != 2500 || b.PromoAvailableMinor != 250 || out.Balance.PromoAvailableMinor != 250 {
				t.Errorf("balance %+v, answered %+v", b, out.Balance)
			}
			tell() // the outbox comes late, or twice
			all := s.list()
			if len(all) != 1 || all[0].Status() != checkout.Voided || all[0].TotalMinor != 1000 {
				t.Errorf("transactions %+v", all)
			}
			if n, err := s.transactions.Retry(t.Context()); n != 0 || err != nil {
				t.Errorf("%d decisions about a voided sale, %v", n, err)
			}
			_, err = s.voidPayment(p.ID)
			wantCode(t, err, fault.CodeStateConflict)
			s.sound()
		})
	}
}

// A sale is found by who may see it, and by nobody else.
func TestVoidTransactionIsBounded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tx, p := s.bought(s.guest(ann, identity.Verified))
	_, err := s.voidSale("txn_none")
	wantCode(t, err, fault.CodeNotFound)
	elsewhere := s.call("voidTransaction")
	elsewhere.Actor.BranchID = "brn_2"
	_, err = s.returns.VoidTransaction(t.Context(), elsewhere, returns.VoidTransactionInput{TransactionID: tx.ID})
	wantCode(t, err, fault.CodeNotFound)
	foreign := s.call("voidTransaction")
	foreign.Tenant.No++
	_, err = s.returns.VoidTransaction(t.Context(), foreign, returns.VoidTransactionInput{TransactionID: tx.ID})
	wantCode(t, err, fault.CodeNotFound)
	foreign.Pin = nil
	_, err = s.returns.Refund(t.Context(), foreign, returns.RefundInput{PaymentID: p.ID})
	wantCode(t, err, fault.CodeNotFound)
	wrong := s.call("refundCreate")
	_, err = s.returns.Refund(t.Context(), wrong, returns.RefundInput{PaymentID: p.ID, Currency: "QAR"})
	wantCode(t, err, fault.CodeCurrencyMismatch)
	if s.transaction(tx.ID).Transaction.Status() != checkout.Completed {
		t.Error("a refused void changed the sale")
	}
}

// A session that ends with a payment in it leaves a sale, and that is what is
// voided then.
func TestVoidAfterTheSessionExpired(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	c := s.open(ann, coffee())
	p := s.pay(c.ID, s.code(guest), 1000)
	s.clock.Advance(2 * time.Hour)
	if _, err := s.refund(p.ID, 100); err != nil { // nobody swept it yet
		t.Fatal(err)
	}
	if _, err := s.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := s.list()
	if len(all) != 1 || all[0].TotalMinor != 900 || all[0].Standing.RefundedMinor != 0 {
		t.Fatalf("%+v", all)
	}
	_, err := s.voidPayment(p.ID)
	wantCode(t, err, fault.CodeStateConflict)
	out, err := s.voidSale(all[0].ID)
	s.must(err)
	if out.Void.Reversals[0].AmountMinor != 900 {
		t.Errorf("%+v", out.Void.Reversals)
	}
	if b := s.balance(guest); b.ActualMinor != 2500 || b.PromoAvailableMinor != 250 {
		t.Errorf("balance %+v", b)
	}
	s.sound()
}
