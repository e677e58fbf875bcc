package identity_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	ledgerstore "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/merging"
)

func (b *bench) merge(ctx context.Context, source, target string) (enrollment.Merged, error) {
	return b.enrollment.Merge(ctx, b.call("mergeIdentities"), enrollment.MergeInput{CustomerID: target, SourceID: source, Reason: "one person"})
}

// deposit credits actual money, as a top-up does.
func (b *bench) deposit(t testing.TB, customerID string, amountMinor int64) {
	t.Helper()
	deposit := func(ctx context.Context, st app.Stores) error {
		book, err := st.Ledger.Book(ctx, b.tenant, customerID)
		if err != nil {
			return err
		}
		c := ledger.Begin(book.Wallet)
		if err := c.Deposit(ledger.Head{ID: b.ids.Make(ids.Entry), Kind: ledger.EntryTopup, RefID: "top_x", At: b.clock.Now()}, amountMinor); err != nil {
			return err
		}
		_, err = st.Ledger.Apply(ctx, c)
		return err
	}
	must(t, patient(func() error { return b.uow.Do(t.Context(), deposit) }))
}

func (b *bench) earn(t testing.TB, customerID string, n int64) {
	t.Helper()
	uses := &points.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: b.enrollment.Directory}
	_, err := uses.Move(t.Context(), b.call("movePoints"), points.MoveInput{CustomerID: customerID, Type: ledger.PointsEarn, Points: n})
	must(t, err)
}

// sound says that every balance follows from the postings.
func (b *bench) sound(t testing.TB) {
	t.Helper()
	_, n, err := ledger.Verify(t.Context(), ledgerstore.NewAudit(b.db), func(f ledger.Finding) { t.Error(f) })
	must(t, err)
	if n > 0 {
		t.Fatalf("%d findings", n)
	}
}

func TestMergingMovesEverythingInOneTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target, source := b.verified(t, guest), b.initiate(t, number(1)).Customer
	b.deposit(t, target.ID, 500)
	b.deposit(t, source.ID, 1575)
	lot := b.issue(t, source.ID, 58) // LOCKED: the source has proven nothing
	b.issue(t, target.ID, 7)
	b.earn(t, source.ID, 40)
	b.earn(t, target.ID, 2)
	_, err := b.link(t, source.ID, fingerprint("fp_1"))
	must(t, err)
	_, err = b.link(t, source.ID, fingerprint("fp_both"))
	must(t, err)
	_, err = b.link(t, target.ID, fingerprint("fp_both"))
	must(t, err)
	b.agree(t, source.ID, identity.ForReceipts, "sms", identity.ConsentGranted)
	code := b.mint(t, source.ID, identity.QR).Credential
	session := b.session(t)
	session.CustomerID = source.ID
	if session, err = b.uow.Read().Checkout.Save(t.Context(), session); err != nil {
		t.Fatal(err)
	}

	call := b.call("mergeIdentities")
	in := enrollment.MergeInput{CustomerID: target.ID, SourceID: source.ID, Reason: "one person"}
	got, err := b.enrollment.Merge(t.Context(), call, in)
	must(t, err)
	if got.ActualMinor != 1575 || got.Points != 40 || len(got.EntryIDs) != 2 || len(got.Grants) != 1 || got.Grants[0].ID != lot.ID || got.Grants[0].State != ledger.Locked {
		t.Errorf("moved %+v", got.Merge)
	}
	// Rule 26: the customer who remains has met what the lot waited for.
	if w := got.Balance; w.ActualMinor != 2075 || w.PromoAvailableMinor != 65 || w.PromoLockedMinor != 0 || len(w.Grants) != 2 || w.CustomerID != target.ID {
		t.Errorf("the wallet after it %+v", w)
	}
	if len(got.Links) != 1 || got.Links[0].Probationary {
		t.Errorf("links %+v", got.Links)
	}
	b.sound(t)
	if n := b.events(t)[merging.EventCustomerMerged]; n != 1 {
		t.Errorf("%d events", n)
	}
	again := *call
	if _, err = b.enrollment.Merge(t.Context(), &again, in); !isReplay(err) {
		t.Errorf("the same key again: %v", err)
	}
	_, err = b.merge(t.Context(), source.ID, target.ID)
	wantCode(t, err, fault.CodeStateConflict)
	b.leadsTo(t, source, target, code)
	if session, err = b.uow.Read().Checkout.Session(t.Context(), b.tenant, session.ID); err != nil || session.CustomerID != target.ID {
		t.Errorf("the open session belongs to %s: %v", session.CustomerID, err)
	}
}

func isReplay(err error) bool {
	var replay *app.Replay
	return errors.As(err, &replay)
}

// leadsTo says that a merged identity leads to the one that remains, by every way.
func (b *bench) leadsTo(t *testing.T, source, target identity.Customer, code identity.Credential) {
	t.Helper()
	for _, c := range []identity.Credential{phoneOf(source.Phone), fingerprint("fp_1"), fingerprint("fp_both"), code} {
		r, err := b.resolve(t, c)
		if err != nil || r.Customer == nil || r.Customer.ID != target.ID || r.Colliding {
			t.Errorf("%s leads to %+v: %v", c.Type, r.Customer, err)
		}
	}
	read, err := b.customers.Get(t.Context(), b.ask("getCustomer"), source.ID)
	if err != nil || read.Customer.ID != target.ID {
		t.Errorf("read by the old id: %+v %v", read.Customer, err)
	}
	acts, err := b.customers.Consents(t.Context(), b.ask("listConsents"), customers.ListInput{CustomerID: source.ID})
	if err != nil || len(acts.Rows) != 1 {
		t.Errorf("consents by the old id: %+v %v", acts, err)
	}
	if w := b.balance(t, source.ID); w.CustomerID != target.ID {
		t.Errorf("the wallet of the old id is %s", w.CustomerID)
	}
	_, err = b.customers.SubmitIdentity(t.Context(), b.call("submitIdentity"), customers.AttributesInput{CustomerID: source.ID, Name: "Ada"})
	if e := failure(t, err, fault.CodeNotFound); e.Details[0].Rule != "merged" {
		t.Errorf("a change by the old id: %v", e)
	}
	if again := b.initiate(t, source.Phone); again.Created || again.Customer.ID != target.ID {
		t.Errorf("enrolling the old phone gave %+v", again.Customer)
	}
	// What comes late for the old identity lands where it went.
	late := b.issue(t, source.ID, 5)
	if late.CustomerID != target.ID {
		t.Errorf("late credit went to %s", late.CustomerID)
	}
	b.sound(t)
}

// A sale that is recorded after its buyer was merged is a purchase of whoever
// remains, also beside a sale of theirs.
func TestASaleOfAMergedBuyerCountsForWhoRemains(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target, source := b.verified(t, guest), b.initiate(t, number(1)).Customer
	_, err := b.merge(t.Context(), source.ID, target.ID)
	must(t, err)
	var ins []transactions.RecordInput
	for _, id := range []string{source.ID, target.ID} {
		tx := checkout.Transaction{
			ID: b.ids.Make(ids.Transaction), Tenant: b.tenant, Origin: checkout.OriginPOS, Currency: "USD", SubtotalMinor: 100, TotalMinor: 100,
			Buyer: checkout.Buyer{CustomerID: id, State: "VERIFIED"}, CreatedAt: b.clock.Now(),
			Tenders: []checkout.Paid{{Tender: checkout.Tender{Type: "cash", AmountMinor: 100}}},
		}
		ins = append(ins, transactions.RecordInput{Transaction: tx})
	}
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		_, err := b.receipts().Transactions.RecordAll(ctx, st, ins)
		return err
	}))
	history, err := b.uow.Read().Identity.History(t.Context(), b.tenant, target.ID)
	must(t, err)
	if history.Transactions != 2 || history.SpentMinor != 200 || history.FirstPurchaseAt == nil {
		t.Errorf("%+v", history)
	}
	b.sound(t)
}

func TestWhatMayNotBeMerged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada, bob := b.verified(t, guest), b.verified(t, number(1))
	carol, dora := b.initiate(t, number(2)).Customer, b.initiate(t, number(3)).Customer
	for name, c := range map[string]struct {
		source, target string
		code           fault.Code
	}{
		"both phones proven":    {bob.ID, ada.ID, fault.CodeStateConflict},
		"itself":                {ada.ID, ada.ID, fault.CodeStateConflict},
		"proven into unproven":  {ada.ID, carol.ID, fault.CodeIdentityProbationary},
		"nobody":                {"cus_none", ada.ID, fault.CodeNotFound},
		"into nobody":           {carol.ID, "cus_none", fault.CodeNotFound},
		"of another merchant's": {b.enrolAt(t, number(4)), ada.ID, fault.CodeNotFound},
	} {
		if _, err := b.merge(t.Context(), c.source, c.target); !fault.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := b.customers.SetStatus(t.Context(), b.call("setCustomerStatus"), customers.StatusInput{CustomerID: dora.ID, Status: identity.Disabled, Reason: "x"})
	must(t, err)
	_, err = b.merge(t.Context(), dora.ID, ada.ID)
	wantCode(t, err, fault.CodeNotFound)
	session := b.session(t)
	session.CustomerID, session.BasketMinor, session.BasketRevision, session.PaidMinor = carol.ID, 100, 1, 100
	_, err = b.uow.Read().Checkout.Save(t.Context(), session)
	must(t, err)
	_, err = b.merge(t.Context(), carol.ID, ada.ID)
	if e := failure(t, err, fault.CodeStateConflict); e.Details[0].Rule != "no_paid_session" {
		t.Errorf("a paid session: %v", e)
	}
	_, err = b.db.Q().Exec(t.Context(), `UPDATE wallets SET currency = 'EUR' WHERE customer_id = $1`, b.currencies(t, number(5)))
	must(t, err)
	eve, err := b.uow.Read().Identity.CustomerByPhone(t.Context(), b.tenant, number(5))
	must(t, err)
	_, err = b.merge(t.Context(), eve.ID, ada.ID)
	wantCode(t, err, fault.CodeCurrencyMismatch)
	b.sound(t)
}

// enrolAt enrols a phone at another merchant.
func (b *bench) enrolAt(t testing.TB, phone string) string {
	t.Helper()
	out, err := b.enrollment.Initiate(t.Context(), b.callOf(b.merchant(t), "initiateEnrollment"), enrollment.InitiateInput{Phone: phone})
	must(t, err)
	return out.Customer.ID
}

func (b *bench) currencies(t testing.TB, phone string) string {
	return b.initiate(t, phone).Customer.ID
}

func TestAnAnonymousSessionIsMerged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada := b.verified(t, guest)
	session := b.session(t)
	merge := func(id string) error {
		_, err := b.enrollment.Merge(t.Context(), b.call("mergeIdentities"), enrollment.MergeInput{CustomerID: ada.ID, SessionID: id})
		return err
	}
	must(t, merge(session.ID))
	got, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, session.ID)
	must(t, err)
	if got.CustomerID != ada.ID {
		t.Errorf("%+v", got)
	}
	wantCode(t, merge(session.ID), fault.CodeStateConflict)
	wantCode(t, merge("cs_none"), fault.CodeNotFound)
	ended := b.session(t)
	b.clock.Advance(2 * time.Hour)
	wantCode(t, merge(ended.ID), fault.CodeSessionEnded)
}

// Merges, deposits and grants at once lose and make nothing, in whatever order
// they meet: each lands in a wallet that somebody can spend.
func TestMergesWhileMoneyMoves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a, c := b.initiate(t, number(1)).Customer, b.initiate(t, number(2)).Customer
	_, errs := together(12, func(i int) (int, error) {
		who := []string{a.ID, c.ID}[i%2]
		switch {
		case i < 8:
			b.deposit(t, who, 10)
			return 0, nil
		case i < 10:
			b.issue(t, who, 3)
			return 0, nil
		case i == 10:
			_, err := b.merge(t.Context(), a.ID, c.ID)
			return 0, err
		}
		_, err := b.merge(t.Context(), c.ID, a.ID)
		return 0, err
	})
	if n := codes(errs); n[""] != 11 || n[fault.CodeStateConflict]+n[fault.CodeNotFound] != 1 {
		t.Fatalf("%v", errs)
	}
	if w := b.balance(t, a.ID); w.ActualMinor != 80 || w.PromoLockedMinor != 6 {
		t.Errorf("%+v", w)
	}
	b.sound(t)
}

// Chains of merges keep the sum, whatever the order.
func TestChainsOfMerges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	i := 0
	rapid.Check(t, func(r *rapid.T) {
		if i > 20*8 { // a database round trip each
			return
		}
		var who []string
		for range 4 {
			i++
			c := b.initiate(t, number(100+i)).Customer
			b.deposit(t, c.ID, 5)
			who = append(who, c.ID)
		}
		for len(who) > 1 {
			from := rapid.IntRange(0, len(who)-1).Draw(r, "from")
			into := rapid.IntRange(0, len(who)-2).Draw(r, "into")
			source := who[from]
			rest := append(append([]string{}, who[:from]...), who[from+1:]...)
			if _, err := b.merge(t.Context(), source, rest[into]); err != nil {
				r.Fatal(err)
			}
			who = rest
			if w := b.balance(t, source); w.CustomerID != rest[into] {
				r.Fatalf("%s leads to %s, want %s", source, w.CustomerID, rest[into])
			}
		}
		if w := b.balance(t, who[0]); w.ActualMinor != 20 {
			r.Fatalf("%+v", w)
		}
	})
	b.sound(t)
}
