package checkout_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/disputes"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/dispute"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// operator is a call of a key with operator authority.
func (s *shop) operator(operation string) *app.Call {
	c := s.call(operation)
	c.Actor.Operator, c.Actor.KeyID = true, "key_1"
	return c
}

func (s *shop) contest(transaction string, amount int64) (dispute.Dispute, error) {
	return s.disputes.Open(s.t.Context(), s.operator("openDispute"), disputes.OpenInput{
		TransactionID: transaction, Reason: "wrong_amount", AmountMinor: amount, Description: "The croissant was not handed out",
		Evidence: []dispute.Evidence{{Type: "statement", Text: "Called at 9:30"}, {Type: "image", Text: "Receipt", URL: "https://example.com/r.png", Facts: []byte(`{"page":1}`)}},
	})
}

func (s *shop) resolve(id string, outcome dispute.Outcome, amount int64) (dispute.Dispute, error) {
	return s.disputes.Resolve(s.t.Context(), s.operator("resolveDispute"), disputes.ResolveInput{DisputeID: id, Outcome: outcome, AmountMinor: amount, Note: "Agreed"})
}

func TestDisputeForTheCustomer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	tx, p := s.bought(guest)
	before := s.balance(guest)
	d, err := s.contest(tx.ID, 1100)
	s.must(err)
	if got := s.balance(guest); got.ActualMinor != before.ActualMinor || got.PromoAvailableMinor != before.PromoAvailableMinor {
		t.Errorf("opening a dispute moved money: %+v", got)
	}
	_, err = s.contest(tx.ID, 1)
	wantCode(t, err, fault.CodeStateConflict)

	out, err := s.resolve(d.ID, dispute.ForCustomer, 0)
	s.must(err)
	r := out.Resolution
	if out.State != dispute.Resolved || r.ActualMinor != 1025 || r.PromoMinor != 75 || r.ForfeitedMinor != 0 || len(r.EntryIDs) != 1 {
		t.Errorf("%+v", r)
	}
	if got := s.balance(guest); got.ActualMinor != before.ActualMinor+1025 || got.PromoAvailableMinor != before.PromoAvailableMinor+75 {
		t.Errorf("balance %+v", got)
	}
	paid, err := s.uow.Read().Ledger.Payment(t.Context(), s.tenant, p.ID)
	if err != nil || paid.RefundedMinor != 1100 {
		t.Errorf("payment %+v, %v", paid, err)
	}
	if v := s.transaction(tx.ID).Transaction; v.Status() != checkout.PartiallyRefunded || v.Standing.RefundedMinor != 1100 {
		t.Errorf("sale %s, %+v", v.Status(), v.Standing)
	}
	if n := s.count(`select count(*) from payment_returns where cause_id = $1 and amount_minor = 1100`, d.ID); n != 1 {
		t.Errorf("%d refunds name the dispute", n)
	}
	read, err := s.disputes.Get(t.Context(), s.call("getDispute"), d.ID)
	s.must(err)
	if len(read.Evidence) != 2 || string(read.Evidence[1].Facts) == "" || len(read.History) != 2 || read.History[1].Type != "resolved" || read.History[1].ActorID != "trm_1" && read.History[1].ActorID != "key_1" {
		t.Errorf("%+v", read)
	}
	for kind, n := range map[string]int{"dispute.opened": 1, "dispute.resolved": 1, "payment.refunded": 1} {
		if got := s.events(kind); len(got) != n {
			t.Errorf("%d events %s", len(got), kind)
		} else if strings.Contains(string(got[0].Data), "croissant") {
			t.Errorf("%s tells what was said: %s", kind, got[0].Data)
		}
	}
	_, err = s.resolve(d.ID, dispute.ForMerchant, 0)
	wantCode(t, err, fault.CodeStateConflict)
	again, err := s.contest(tx.ID, 0) // a resolved one does not stand in the way
	if err != nil || again.AmountMinor != 175 {
		t.Errorf("%+v, %v", again, err)
	}
	s.sound()
}

func TestDisputeForTheMerchantMovesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	tx, _ := s.bought(guest)
	before, entries := s.balance(guest), s.count(`select count(*) from entries`)
	d, err := s.contest(tx.ID, 300)
	s.must(err)
	_, err = s.resolve(d.ID, dispute.ForMerchant, 5)
	wantCode(t, err, fault.CodeValidationFailed)
	out, err := s.resolve(d.ID, dispute.ForMerchant, 0)
	s.must(err)
	if out.Resolution.Outcome != dispute.ForMerchant || len(out.Resolution.EntryIDs) != 0 || s.count(`select count(*) from entries`) != entries || s.balance(guest).ActualMinor != before.ActualMinor {
		t.Errorf("%+v", out.Resolution)
	}
	if s.transaction(tx.ID).Transaction.Status() != checkout.Completed {
		t.Error("the sale changed")
	}
}

func TestDisputesAreBounded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tx, p := s.bought(s.guest(ann, identity.Verified))
	_, err := s.contest("txn_none", 1)
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.contest(tx.ID, 1276)
	wantCode(t, err, fault.CodeAmountOutOfRange)
	for _, link := range []string{"javascript:alert(1)", "ftp://example.com/x", "https://user:pass@example.com/x", "https://"} {
		_, err := s.disputes.Open(t.Context(), s.call("openDispute"), disputes.OpenInput{
			TransactionID: tx.ID, Reason: "other", Evidence: []dispute.Evidence{{Type: "log", Text: "x", URL: link}},
		})
		wantCode(t, err, fault.CodeValidationFailed)
	}
	_, err = s.disputes.Open(t.Context(), s.call("openDispute"), disputes.OpenInput{
		TransactionID: tx.ID, Reason: "other", Evidence: []dispute.Evidence{{Type: "log", Text: "x", Facts: []byte(`"` + strings.Repeat("x", dispute.MaxFacts) + `"`)}},
	})
	wantCode(t, err, fault.CodeValidationFailed)

	d, err := s.contest(tx.ID, 500)
	s.must(err)
	plain := s.call("resolveDispute")
	_, err = s.disputes.Resolve(t.Context(), plain, disputes.ResolveInput{DisputeID: d.ID, Outcome: dispute.ForMerchant})
	wantCode(t, err, fault.CodeOperatorRequired)
	_, err = s.resolve(d.ID, dispute.ForCustomer, 501)
	wantCode(t, err, fault.CodeAmountOutOfRange)
	if _, err := s.refund(p.ID, 1000); err != nil { // meanwhile
		t.Fatal(err)
	}
	_, err = s.resolve(d.ID, dispute.ForCustomer, 0)
	wantCode(t, err, fault.CodeRefundExceedsPayment)
	if !strings.Contains(err.Error(), "only 275") {
		t.Error(err)
	}
	elsewhere := s.operator("getDispute")
	elsewhere.Actor.BranchID = "brn_2"
	_, err = s.disputes.Get(t.Context(), elsewhere, d.ID)
	wantCode(t, err, fault.CodeNotFound)
	foreign := s.operator("getDispute")
	foreign.Tenant.No++
	_, err = s.disputes.Get(t.Context(), foreign, d.ID)
	wantCode(t, err, fault.CodeNotFound)

	if _, err := s.voidSale(tx.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.resolve(d.ID, dispute.ForCustomer, 0)
	wantCode(t, err, fault.CodeRefundExceedsPayment)
	if _, err := s.resolve(d.ID, dispute.ForMerchant, 0); err != nil {
		t.Error(err)
	}
	_, err = s.contest(tx.ID, 1)
	wantCode(t, err, fault.CodeStateConflict)
	s.sound()
}

// A dispute is opened once and resolved once, however many try at a time.
func TestDisputesTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	tx, p := s.bought(guest)
	many := func(call func() error) (done int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := call()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if !fault.Is(err, fault.CodeStateConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return done
	}
	var mu sync.Mutex
	var id string
	if n := many(func() error {
		d, err := s.contest(tx.ID, 900)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			id = d.ID
		}
		return err
	}); n != 1 {
		t.Errorf("opened %d times", n)
	}
	if n := many(func() error { _, err := s.resolve(id, dispute.ForCustomer, 0); return err }); n != 1 {
		t.Errorf("resolved %d times", n)
	}
	if paid, err := s.uow.Read().Ledger.Payment(t.Context(), s.tenant, p.ID); err != nil || paid.RefundedMinor != 900 {
		t.Errorf("payment %+v, %v", paid, err)
	}
	s.sound()
}

func TestDisputesAreListed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := s.guest(ann, identity.Verified)
	var want, sales []string
	for range 5 {
		s.clock.Advance(time.Second)
		tx := s.close(s.open(ann, coffee()).ID, cash(1275)).Sale.Transaction
		d, err := s.contest(tx.ID, 10)
		s.must(err)
		want, sales = append([]string{d.ID}, want...), append([]string{tx.ID}, sales...)
	}
	_, err := s.resolve(want[2], dispute.ForCustomer, 0)
	wantCode(t, err, fault.CodeRefundExceedsPayment) // cash goes back where it was paid
	if _, err := s.resolve(want[2], dispute.ForMerchant, 0); err != nil {
		t.Fatal(err)
	}
	list := func(in disputes.ListInput) (ids []string) {
		t.Helper()
		for {
			p, err := s.disputes.List(t.Context(), s.call("listDisputes"), in)
			s.must(err)
			for _, d := range p.Disputes {
				ids = append(ids, d.ID)
			}
			if in.Cursor = p.Next; in.Cursor == "" {
				return ids
			}
			tx := s.close(s.open("", coffee()).ID, cash(1275)).Sale.Transaction
			s.clock.Advance(time.Second)
			if _, err := s.contest(tx.ID, 1); err != nil { // disputes go on while the list is read
				t.Fatal(err)
			}
		}
	}
	if got := list(disputes.ListInput{Limit: 2, CustomerID: guest}); !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if got := list(disputes.ListInput{State: dispute.Resolved}); !slices.Equal(got, want[2:3]) {
		t.Errorf("resolved: %v", got)
	}
	if got := list(disputes.ListInput{TransactionID: sales[1], State: dispute.Open}); !slices.Equal(got, want[1:2]) {
		t.Errorf("of a sale: %v", got)
	}
	_, err = s.disputes.List(t.Context(), s.call("listDisputes"), disputes.ListInput{Cursor: "bogus"})
	wantCode(t, err, fault.CodeCursorInvalid)
}
