package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	tenancystore "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

func (b *bench) merging() *enrollment.Service {
	return &enrollment.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: tenancystore.NewDirectory(b.db)}
}

func (b *bench) merge(t testing.TB, source, target string) string {
	t.Helper()
	m, err := b.merging().Merge(t.Context(), b.call("mergeIdentities"), enrollment.MergeInput{CustomerID: target, SourceID: source})
	must(t, err)
	return m.ID
}

func (b *bench) unmerge(ctx context.Context, merge string, partial bool) (enrollment.Merged, error) {
	return b.merging().Merge(ctx, b.call("mergeIdentities"), enrollment.MergeInput{UndoID: merge, Partial: partial})
}

func (b *bench) movePoints(t testing.TB, customer string, kind core.PointsMove, n int64) {
	t.Helper()
	uses := &points.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: b.grants.Directory}
	_, err := uses.Move(t.Context(), b.call("movePoints"), points.MoveInput{CustomerID: customer, Type: kind, Points: n})
	must(t, err)
}

func (b *bench) pointsOf(t testing.TB, customer string) int64 {
	t.Helper()
	a, err := b.uow.Read().Ledger.PointsOf(t.Context(), b.tenant, customer)
	must(t, err)
	return a.Balance
}

// What was spent since the merge cannot go back: nothing happens, and the refusal
// says how much of each class is missing, unless a part is enough.
func TestAnUndoOfWhatIsSpent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source, target := b.customer(t, identity.PendingProof), b.customer(t, identity.Verified)
	b.topUp(t, source, 900) // no bonus
	lot := b.issue(t, source, 58, nil)
	b.movePoints(t, source, core.PointsEarn, 40)
	b.clock.Advance(time.Second) // the older points are burned first
	b.movePoints(t, target, core.PointsEarn, 5)
	m := b.merge(t, source, target)
	p := b.paid(t, target, 258) // the lot, and 200 of actual money
	b.movePoints(t, target, core.PointsBurn, 15)
	before := b.balance(t, target)

	_, err := b.unmerge(t.Context(), m, false)
	e := faultOf(t, err, fault.CodeStateConflict)
	want := []fault.Detail{
		{Field: "unreturned.actual_minor", Rule: "missing", Message: "200"}, {Field: "unreturned.promo_minor", Rule: "missing", Message: "58"},
		{Field: "unreturned.points", Rule: "missing", Message: "15"},
	}
	if !slices.Equal(e.Details[1:], want) || e.Details[0].Rule != "unspent" {
		t.Errorf("refused with %+v", e.Details)
	}
	if is := b.balance(t, target); is.ActualMinor != before.ActualMinor || b.balance(t, source).CustomerID != target {
		t.Errorf("it changed %+v", is)
	}
	got, err := b.unmerge(t.Context(), m, true)
	must(t, err)
	if u := got.Undo; u.ActualMinor != 700 || u.Left.ActualMinor != 200 || len(u.Grants) != 0 || u.Left.PromoMinor != 58 || u.Points != 25 || u.Left.Points != 15 {
		t.Errorf("%+v", u)
	}
	if s, w := b.balance(t, source), b.balance(t, target); s.ActualMinor != 700 || w.ActualMinor != 0 || b.pointsOf(t, source) != 25 || b.pointsOf(t, target) != 5 {
		t.Errorf("%+v %+v", s, w)
	}
	b.sound(t)

	// Rules 22 and 26: a refund of what they paid together gives each class where
	// it belongs: actual money to the payer, the lot to whom it went, LOCKED.
	out, err := b.refund(t, p.ID, 258)
	must(t, err)
	if out.Return.ActualMinor != 200 || out.Return.PromoMinor != 58 || out.Balance.ActualMinor != 200 || out.Balance.PromoAvailableMinor != 0 {
		t.Errorf("%+v", out)
	}
	if s := b.balance(t, source); s.ActualMinor != 700 || s.PromoLockedMinor != 58 || s.PromoAvailableMinor != 0 || s.Grants[0].ID != lot.ID {
		t.Errorf("%+v", s)
	}
	if told := b.told(t, source); !slices.Contains(told, core.EventGrantLocked) {
		t.Errorf("told %v", told)
	}
	b.sound(t)
}

// A deposit of the merged identity that is reversed after the merge is no money
// of who remained: it does not go back.
func TestAReversedDepositDoesNotGoBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source, target := b.customer(t, identity.PendingProof), b.customer(t, identity.Verified)
	top := b.topUp(t, source, 500)
	b.topUp(t, source, 300)
	b.topUp(t, target, 900)
	m := b.merge(t, source, target)
	_, err := b.reverse(t, top.Topup.ID, false)
	must(t, err)
	_, err = b.unmerge(t.Context(), m, false)
	wantCode(t, err, fault.CodeStateConflict)
	got, err := b.unmerge(t.Context(), m, true)
	must(t, err)
	if u := got.Undo; u.ActualMinor != 300 || u.Left.ActualMinor != 500 || b.balance(t, target).ActualMinor != 900 || b.balance(t, source).ActualMinor != 300 {
		t.Errorf("%+v", u)
	}
	b.sound(t)
}

// Of two undos at once one undoes, under whatever keys.
func TestUndosTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		source, target := b.customer(t, identity.PendingProof), b.customer(t, identity.Verified)
		b.topUp(t, source, 900)
		b.issue(t, source, 58, nil)
		b.movePoints(t, source, core.PointsEarn, 40)
		m := b.merge(t, source, target)
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = b.unmerge(t.Context(), m, i%2 == 0) })
		}
		wg.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
				continue
			}
			if e := faultOf(t, err, fault.CodeStateConflict); e.Details[0].Rule != "not_undone" {
				t.Errorf("%v", err)
			}
		}
		if w := b.balance(t, source); done != 1 || w.ActualMinor != 900 || w.PromoLockedMinor != 58 || b.pointsOf(t, source) != 40 {
			t.Errorf("%d undid, %+v", done, w)
		}
	}
	b.sound(t)
}

// Payments of who remained and an undo at once: each payment is whole, and what
// is left after it is divided; no figure is ever negative, and none is lost.
func TestAnUndoWhileWhoRemainedPays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 6 {
		source, target := b.customer(t, identity.PendingProof), b.customer(t, identity.Verified)
		b.topUp(t, source, 600)
		b.topUp(t, target, 200)
		b.issue(t, source, 100, nil)
		m := b.merge(t, source, target)
		codes := make([]identity.Credential, 6)
		for i := range codes {
			codes[i] = b.code(t, target)
		}
		errs := make([]error, len(codes))
		var undone enrollment.Merged
		var undoErr error
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() { _, errs[i] = b.pay(t, codes[i], 70) })
		}
		wg.Go(func() { undone, undoErr = b.unmerge(t.Context(), m, true) })
		wg.Wait()
		must(t, undoErr)
		spent := int64(0)
		for _, err := range errs {
			if err == nil {
				spent += 70
				continue
			}
			if !errors.As(err, new(*fault.Error)) || !fault.Is(err, fault.CodeInsufficientFunds) {
				t.Errorf("%v", err)
			}
		}
		s, w := b.balance(t, source), b.balance(t, target)
		if sum := s.ActualMinor + s.PromoLockedMinor + s.PromoAvailableMinor + w.ActualMinor + w.PromoAvailableMinor + w.PromoLockedMinor; sum+spent != 900 {
			t.Errorf("%d are left of 900 after %d were spent: %+v %+v", sum, spent, s, w)
		}
		if u := undone.Undo; s.ActualMinor != u.ActualMinor || u.ActualMinor+u.Left.ActualMinor != 600 || s.PromoLockedMinor+u.Left.PromoMinor != 100 {
			t.Errorf("%+v, the source has %+v", u, s)
		}
	}
	b.sound(t)
}

// What a sale gave is found with whom it is: the void of a buyer's sale takes it
// back, also where the buyer was merged since, and after the undo.
func TestLotsOfASaleAreFoundWhereverTheyWent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source, target := b.customer(t, identity.PendingProof), b.customer(t, identity.Verified)
	var lot core.Grant
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) (err error) {
		lot, err = grants.Issue(ctx, st, grants.IssueInput{
			Tenant: b.tenant, CustomerID: source, Source: core.SourceCashback, AmountMinor: 58, Currency: "USD", OriginID: "txn_1", Now: b.clock.Now(),
		})
		return err
	}))
	owner := func() string {
		t.Helper()
		lots, err := b.uow.Read().Ledger.GrantsOfSale(t.Context(), b.tenant, core.Sale{CustomerID: source, TransactionID: "txn_1", At: start})
		must(t, err)
		if len(lots) != 1 || lots[0].ID != lot.ID {
			t.Fatalf("%+v", lots)
		}
		return lots[0].CustomerID
	}
	m := b.merge(t, source, target)
	if got := owner(); got != target {
		t.Errorf("merged, it belongs to %s", got)
	}
	_, err := b.unmerge(t.Context(), m, false)
	must(t, err)
	if got := owner(); got != source {
		t.Errorf("undone, it belongs to %s", got)
	}
}

// classes are the figures of a wallet, class by class.
type classes struct{ actual, promo, points int64 }

func (b *bench) classes(t testing.TB, customer string) classes {
	t.Helper()
	w := b.balance(t, customer)
	if w.CustomerID != customer {
		t.Fatalf("the wallet of %s is %s", customer, w.CustomerID)
	}
	return classes{w.ActualMinor, w.PromoAvailableMinor + w.PromoLockedMinor, b.pointsOf(t, customer)}
}

// Whatever was there and was done since, a merge and its undo make and lose
// nothing in any class, no figure is below zero, and what did not come back is
// told exactly.
func TestRule22AnUndoneMergeKeepsEveryClass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		source, target := b.customer(t, identity.PendingProof), b.customer(t, identity.Verified)
		for i, who := range []string{source, target} {
			if n := rapid.Int64Range(0, 900).Draw(rt, fmt.Sprint("deposit", i)); n > 0 {
				b.topUp(t, who, n)
			}
			for range rapid.IntRange(0, 3).Draw(rt, fmt.Sprint("lots", i)) {
				b.issue(t, who, rapid.Int64Range(1, 200).Draw(rt, "lot"), nil)
			}
			if n := rapid.Int64Range(0, 50).Draw(rt, fmt.Sprint("points", i)); n > 0 {
				b.movePoints(t, who, core.PointsEarn, n)
			}
		}
		had, own := b.classes(t, source), b.classes(t, target)
		m := b.merge(t, source, target)
		var spent classes
		var paid []core.Payment
		for range rapid.IntRange(0, 3).Draw(rt, "payments") {
			w := b.balance(t, target)
			if most := w.ActualMinor + w.PromoAvailableMinor; most > 0 {
				p := b.paid(t, target, rapid.Int64Range(1, most).Draw(rt, "amount"))
				spent.actual, spent.promo = spent.actual+p.Debit.ActualMinor, spent.promo+p.Debit.PromoMinor()
				paid = append(paid, p)
			}
		}
		if most := b.pointsOf(t, target); most > 0 && rapid.Bool().Draw(rt, "burn") {
			spent.points = rapid.Int64Range(1, most).Draw(rt, "burned")
			b.movePoints(t, target, core.PointsBurn, spent.points)
		}
		whole := rapid.Bool().Draw(rt, "whole")
		got, err := b.unmerge(t.Context(), m, false)
		if err != nil {
			if e := faultOf(t, err, fault.CodeStateConflict); e.Details[0].Rule != "unspent" || spent == (classes{}) {
				rt.Fatalf("%v after %+v", err, spent)
			}
			if got, err = b.unmerge(t.Context(), m, true); err != nil {
				rt.Fatal(err)
			}
		}
		u, s, w := got.Undo, b.classes(t, source), b.classes(t, target)
		if s.actual+w.actual+spent.actual != had.actual+own.actual || s.promo+w.promo+spent.promo != had.promo+own.promo || s.points+w.points+spent.points != had.points+own.points {
			rt.Fatalf("%+v and %+v of %+v and %+v, %+v spent", s, w, had, own, spent)
		}
		if s.actual+u.Left.ActualMinor != had.actual || s.promo+u.Left.PromoMinor != had.promo || s.points+u.Left.Points != had.points {
			rt.Fatalf("%+v of %+v, but %+v are told not to be back", s, had, u.Left)
		}
		// Of actual money as much goes back as is there.
		if u.Left.ActualMinor > 0 && w.actual > 0 {
			rt.Fatalf("%d are missing and %d were kept", u.Left.ActualMinor, w.actual)
		}
		if whole { // refunds of what was paid while they were one fill up exactly
			for _, p := range paid {
				if _, err := b.refund(t, p.ID, p.AmountMinor); err != nil {
					rt.Fatal(err)
				}
			}
			s, w = b.classes(t, source), b.classes(t, target)
			if s.promo != had.promo || w.promo != own.promo || s.actual+w.actual != had.actual+own.actual {
				rt.Fatalf("refunded %+v and %+v of %+v and %+v", s, w, had, own)
			}
		}
		if c := b.balance(t, source).Currency; !money.Currency(c).Valid() || c != "USD" {
			rt.Fatal(c)
		}
	})
	b.sound(t)
}

// Whoever works on the wallet of a merged identity locks both wallets in the order
// in which everybody does, whichever of them was merged: here one transaction holds
// the wallet that remains when another comes for the merged one, and then wants the
// merged one itself.
func TestMergedWalletsAreLockedInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target := b.customer(t, identity.Verified)
	b.clock.Advance(time.Millisecond)
	source := b.customer(t, identity.PendingProof)
	if source < target { // ids are in the order of their instants
		t.Fatalf("%s was made after %s", source, target)
	}
	b.merge(t, source, target)

	other := make(chan error, 1)
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		if _, err := st.Ledger.Book(ctx, b.tenant, target); err != nil {
			return err
		}
		go func() {
			other <- b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
				book, err := st.Ledger.Book(ctx, b.tenant, source)
				if err == nil && book.Wallet.CustomerID != target {
					err = fmt.Errorf("the wallet of %s", book.Wallet.CustomerID)
				}
				return err
			})
		}()
		pgtest.WaitForBlocked(t, b.db)
		_, err := st.Ledger.Book(ctx, b.tenant, source)
		return err
	}))
	must(t, <-other)
	if n := b.count(t, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}
