package checkout_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
)

// list lists every transaction, latest first.
func (s *shop) list() []checkout.Transaction {
	s.t.Helper()
	page, err := s.transactions.List(s.t.Context(), s.call("listTransactions"), transactions.ListInput{IntegrationID: s.tenant.PartnerID, IncludeUnidentified: true})
	s.must(err)
	return page.Transactions
}

// TestAPaymentWithoutSessionIsItsOwnSale holds rule 55: the outbox brings the
// event, more than once and to several servers at a time.
func TestAPaymentWithoutSessionIsItsOwnSale(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	p := s.pay("", s.code(guest), 1000)
	happened := s.events(core.EventPaymentSucceeded)
	if len(happened) != 1 {
		t.Fatalf("%d payments happened", len(happened))
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := s.transactions.FromPayment(t.Context(), happened[0]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all := s.list()
	if len(all) != 1 {
		t.Fatalf("%d transactions", len(all))
	}
	tx := all[0]
	cashback := tx.Ruling(actuation.KindCashback)
	if tx.SessionID != "" || tx.Channel != "" || tx.TotalMinor != 1000 || tx.Buyer.CustomerID != guest || tx.Tenders[0].PaymentID != p.ID ||
		cashback.AmountMinor != 50 || cashback.State != checkout.Committed || tx.Ruling(actuation.KindAttribution).State != checkout.Committed {
		t.Errorf("transaction = %+v", tx)
	}
	if paid, err := s.uow.Read().Ledger.Payment(t.Context(), s.tenant, p.ID); err != nil || paid.TransactionID != tx.ID {
		t.Errorf("the payment belongs to %q, %v", paid.TransactionID, err)
	}
	if b := s.balance(guest); b.PromoAvailableMinor != 50 || b.ActualMinor != 1750 { // 250 of the bonus were spent first
		t.Errorf("balance = %+v", b)
	}
	s.replays(tx.TraceID)
	s.sound()
}

func TestOnlyPaymentsWithoutSessionAreTaken(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	s.pay(s.open(ann, coffee()).ID, s.code(guest), 1000)
	for _, e := range s.events() {
		s.must(s.transactions.FromPayment(t.Context(), e))
	}
	s.must(s.transactions.FromPayment(t.Context(), event.Event{ID: "evt_x", Tenant: s.tenant, Type: core.EventPaymentSucceeded, Subject: "pay_gone", Data: []byte(`{"payment_id":"pay_gone","session_id":null}`)}))
	if n := len(s.list()); n != 0 {
		t.Errorf("%d transactions", n)
	}
	if err := s.transactions.FromPayment(t.Context(), event.Event{ID: "evt_y", Tenant: s.tenant, Type: core.EventPaymentSucceeded, Data: []byte(`[]`)}); err == nil {
		t.Error("an event that cannot be read was taken for done")
	}
}

func TestAPaymentAloneWaitsForNoActuator(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	s.pay("", s.code(guest), 1000)
	s.actuators.fail(actuation.KindCashback)
	for _, e := range s.events(core.EventPaymentSucceeded) {
		s.must(s.transactions.FromPayment(t.Context(), e))
	}
	if tx := s.list()[0]; tx.Ruling(actuation.KindCashback).State != checkout.Pending || tx.Ruling(actuation.KindAttribution).State != checkout.Committed {
		t.Errorf("rulings = %+v", tx.Rulings)
	}
	s.actuators.fail()
	if n, err := s.transactions.Retry(t.Context()); n != 1 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	if b := s.balance(guest); b.PromoAvailableMinor != 50 {
		t.Errorf("balance = %+v", b)
	}
	s.sound()
}

func TestExpireEndsWhatIsOver(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.seed()
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	empty, held, paid := s.open("", coffee()), s.open("", coffee()), s.open(ann, coffee())
	s.apply100(held.ID)
	s.apply100(paid.ID)
	p := s.pay(paid.ID, s.code(guest), 600)
	s.clock.Advance(30 * time.Minute)
	young := s.open("", coffee())
	s.clock.Advance(30 * time.Minute)

	var wg sync.WaitGroup
	var mu sync.Mutex
	ended := 0
	for range 4 {
		wg.Go(func() {
			n, err := s.Expire(t.Context())
			mu.Lock()
			defer mu.Unlock()
			ended += n
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ended != 3 || s.session(young.ID).State != checkout.Open {
		t.Errorf("%d ended; the young one is %s", ended, s.session(young.ID).State)
	}
	for _, c := range []checkout.Session{empty, held, paid} {
		if now := s.session(c.ID); now.State != checkout.Expired || !now.EndedAt.Equal(c.ExpiresAt) || now.DiscountMinor != 0 {
			t.Errorf("session = %+v", now)
		}
	}
	all := s.list()
	if len(all) != 1 || all[0].TotalMinor != 600 || all[0].Tenders[0].PaymentID != p.ID || all[0].Buyer.CustomerID != guest {
		t.Fatalf("transactions = %+v", all)
	}
	if n, err := s.transactions.Retry(t.Context()); n != 2 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	if b := s.balance(guest); b.PromoAvailableMinor != 30 {
		t.Errorf("balance = %+v", b)
	}
	if n := len(s.events("offer.released")); n != 2 {
		t.Errorf("%d offers were released", n)
	}
	s.sound()
}

func TestASessionThatCannotBeEndedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 2500)
	bad := s.open(ann, coffee())
	s.pay(bad.ID, s.code(guest), 600)
	good := s.open("", coffee())
	_, err := s.db.Q().Exec(t.Context(), `update payments set customer_id = 'cus_gone' where tenant_no = $1`, s.tenant.No)
	s.must(err)
	s.clock.Advance(time.Hour)
	n, err := s.Expire(t.Context())
	if n != 1 || err == nil {
		t.Errorf("%d ended, %v", n, err)
	}
	if s.session(good.ID).State != checkout.Expired || s.session(bad.ID).State != checkout.Open {
		t.Errorf("good is %s, bad is %s", s.session(good.ID).State, s.session(bad.ID).State)
	}
}

// TestCloseAgainstExpire has the sweep and the till race for a session at its
// last moment: one of them ends it, and the payment has one transaction.
func TestCloseAgainstExpire(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	s.topUp(guest, 5000)
	c := s.open(ann, coffee())
	p := s.pay(c.ID, s.code(guest), 1275)
	s.actuators.asked = sync.OnceFunc(func() { // the time runs out while the till closes
		s.clock.Advance(time.Hour)
		if n, err := s.Expire(t.Context()); n != 1 || err != nil {
			t.Errorf("expired %d, %v", n, err)
		}
	})
	_, err := s.Close(t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{
		SessionID: c.ID, Tenders: []checkout.Tender{{Type: checkout.Wallet, AmountMinor: 1275, PaymentID: p.ID}},
	})
	wantCode(t, err, fault.CodeSessionEnded)
	if all := s.list(); len(all) != 1 || all[0].Tenders[0].PaymentID != p.ID {
		t.Errorf("transactions = %+v", all)
	}
}

// TestARunOfPaymentsIsTakenTogether takes many payments in one go; one that
// cannot be taken holds up no other, and the run comes back for it.
func TestARunOfPaymentsIsTakenTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	asked := 0
	s.actuators.asked = func() { asked++ }
	for i := range 20 {
		guest := s.guest(fmt.Sprintf("+141555502%02d", i), identity.Verified)
		s.topUp(guest, 2500)
		s.pay("", s.code(guest), 1000)
	}
	run := append(s.events(core.EventPaymentSucceeded), s.events(core.EventTopupCompleted)...)
	bad := event.Event{ID: "evt_bad", Tenant: s.tenant, Type: core.EventPaymentSucceeded, Data: []byte(`"bad"`)}
	if err := s.transactions.FromPayments(t.Context(), append(run, bad)); err == nil {
		t.Error("an event that cannot be read was taken for done")
	}
	s.must(s.transactions.FromPayments(t.Context(), run))
	all := s.list()
	if len(all) != 20 || asked != 1 {
		t.Errorf("%d transactions, the cashback actuator was asked %d times", len(all), asked)
	}
	seen := map[string]bool{}
	for _, tx := range all {
		if seen[tx.ReceiptNumber] || tx.Ruling(actuation.KindCashback).AmountMinor != 50 {
			t.Errorf("transaction = %+v", tx)
		}
		seen[tx.ReceiptNumber] = true
	}
	s.sound()
}
