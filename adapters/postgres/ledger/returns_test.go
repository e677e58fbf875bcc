package ledger_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	store "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

func (b *bench) void(t testing.TB, payment string) (returns.Outcome, error) {
	t.Helper()
	return b.returns.Void(t.Context(), b.call("redeemVoid"), returns.VoidInput{PaymentID: payment, Reason: "test"})
}

func (b *bench) refund(t testing.TB, payment string, amount int64) (returns.Outcome, error) {
	t.Helper()
	return b.returns.Refund(t.Context(), b.call("refundCreate"), returns.RefundInput{PaymentID: payment, AmountMinor: amount})
}

func (b *bench) reverse(t testing.TB, id string, partial bool) (topup.Outcome, error) {
	t.Helper()
	return b.topups.Reverse(t.Context(), b.call("reverseTopup"), topup.ReverseInput{TopupID: id, Reason: "uncollected", AllowPartial: partial})
}

// paid debits a customer who has the money.
func (b *bench) paid(t testing.TB, customer string, amount int64) core.Payment {
	t.Helper()
	p, err := b.pay(t, b.code(t, customer), amount)
	must(t, err)
	return p.Payment
}

// told lists the types of the events about a subject, oldest first.
func (b *bench) told(t testing.TB, subject string) []string {
	t.Helper()
	rows, err := b.db.Pool().Query(t.Context(), `SELECT type FROM events WHERE tenant_no = $1 AND subject = $2 ORDER BY xid, position`, b.tenant.No, subject)
	must(t, err)
	var types []string
	for rows.Next() {
		var kind string
		must(t, rows.Scan(&kind))
		types = append(types, kind)
	}
	must(t, rows.Err())
	return types
}

// A void leaves every class and every lot exactly as it was.
func TestVoidUndoesADebitWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		guest := b.customer(t, identity.Verified)
		b.topUp(t, guest, rapid.Int64Range(1, 3000).Draw(rt, "deposit"))
		for range rapid.IntRange(0, 3).Draw(rt, "lots") {
			var expires *time.Time
			if rapid.Bool().Draw(rt, "expires") {
				at := b.clock.Now().Add(time.Hour)
				expires = &at
			}
			b.issue(t, guest, rapid.Int64Range(1, 500).Draw(rt, "lot"), expires)
			b.clock.Advance(time.Millisecond)
		}
		before := b.balance(t, guest)
		p := b.paid(t, guest, rapid.Int64Range(1, before.ActualMinor+before.PromoAvailableMinor).Draw(rt, "to pay"))
		out, err := b.void(t, p.ID)
		must(t, err)
		r := out.Return
		if r.ActualMinor != p.Debit.ActualMinor || r.PromoMinor != p.Debit.PromoMinor() || r.ForfeitedMinor != 0 || out.Payment.Status != core.PaymentVoided {
			rt.Fatalf("paid %+v, given back %+v, %s", p.Debit, r, out.Payment.Status)
		}
		after := b.balance(t, guest)
		if after.ActualMinor != before.ActualMinor || after.PromoAvailableMinor != before.PromoAvailableMinor || len(after.Grants) != len(before.Grants) {
			rt.Fatalf("before %+v, after %+v", before, after)
		}
		for i, g := range before.Grants {
			now := after.Grants[i]
			if now.ID != g.ID || now.State != g.State || now.RemainingMinor != g.RemainingMinor || (now.ExpiresAt == nil) != (g.ExpiresAt == nil) || g.ExpiresAt != nil && !now.ExpiresAt.Equal(*g.ExpiresAt) {
				rt.Fatalf("%s was %+v and is %+v", g.ID, g, now)
			}
		}
		if out.Balance.ActualMinor != after.ActualMinor || out.Balance.PromoAvailableMinor != after.PromoAvailableMinor {
			rt.Fatalf("the answer shows %+v, the books %+v", out.Balance, after)
		}
	})
	b.sound(t)
}

// The contra entry names what it reverses, the sale of a payment alone is
// recorded and voided with it, and everybody is told.
func TestVoidIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500) // earns a lot of 250
	p := b.paid(t, guest, 1000)
	out, err := b.void(t, p.ID)
	must(t, err)
	if n := b.count(t, `SELECT count(*) FROM entries WHERE entry_id = $1 AND kind = 'void' AND reverses = $2`, out.Return.EntryID, p.EntryID); n != 1 {
		t.Error("no contra entry names the payment's entry")
	}
	if n := b.count(t, `SELECT count(*) FROM transaction_voids v JOIN transaction_payments p USING (transaction_id) WHERE p.payment_id = $1`, p.ID); n != 1 {
		t.Error("the sale of the payment was not voided")
	}
	if types := b.told(t, p.ID); !slices.Equal(types, []string{"payment.succeeded", "payment.voided"}) {
		t.Errorf("told %v", types)
	}
	if types := b.told(t, guest); !slices.Equal(types, []string{"grant.released", "grant.spent", "grant.released"}) {
		t.Errorf("told %v", types)
	}
	_, err = b.void(t, p.ID)
	wantCode(t, err, fault.CodeStateConflict)
	_, err = b.refund(t, p.ID, 1)
	wantCode(t, err, fault.CodeStateConflict)
	b.sound(t)
}

func TestVoidIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *tenancy.Settings) { s.TimeZone = "Asia/Qatar" })
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	_, err := b.void(t, "pay_none")
	wantCode(t, err, fault.CodeNotFound)
	waiting, err := b.pay(t, identity.Credential{Type: identity.Phone, Value: phoneOf(guest)}, 100)
	must(t, err)
	_, err = b.void(t, waiting.Payment.ID)
	wantCode(t, err, fault.CodeStateConflict)

	part := b.paid(t, guest, 100)
	_, err = b.refund(t, part.ID, 40)
	must(t, err)
	_, err = b.void(t, part.ID)
	if f := faultOf(t, err, fault.CodeStateConflict); !strings.Contains(f.Message, "refund the other 60") {
		t.Error(f)
	}

	foreign := b.merchant(t)
	call := b.call("redeemVoid")
	call.Tenant = foreign
	_, err = b.returns.Void(t.Context(), call, returns.VoidInput{PaymentID: part.ID})
	wantCode(t, err, fault.CodeNotFound)
	elsewhere := b.call("redeemVoid")
	elsewhere.Actor.BranchID = "brn_2"
	_, err = b.returns.Void(t.Context(), elsewhere, returns.VoidInput{PaymentID: part.ID})
	wantCode(t, err, fault.CodeNotFound)

	late := b.paid(t, guest, 100)
	b.clock.Advance(12*time.Hour + 59*time.Minute) // 23:59 in Doha
	same := b.paid(t, guest, 100)
	if _, err := b.void(t, late.ID); err != nil {
		t.Errorf("on the same business day: %v", err)
	}
	b.clock.Advance(time.Minute)
	_, err = b.void(t, same.ID)
	if f := faultOf(t, err, fault.CodeStateConflict); f.Details[0].Rule != "same_business_day" {
		t.Error(f)
	}
	if _, err := b.refund(t, same.ID, 0); err != nil {
		t.Errorf("refunded instead: %v", err)
	}
	b.sound(t)
}

// Thirty-two refunds of one payment at once never give back more than it took.
func TestRefundsTogetherNeverExceedThePayment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	before := b.balance(t, guest)
	p := b.paid(t, guest, 1000)
	codes := together(32, func(int) error {
		_, err := b.refund(t, p.ID, 70)
		return err
	})
	if codes[""] != 14 || codes[fault.CodeRefundExceedsPayment] != 18 {
		t.Fatalf("answers %v: 14 times 70 fit into 1000", codes)
	}
	out, err := b.refund(t, p.ID, 0)
	must(t, err)
	if out.Return.AmountMinor != 20 || out.Payment.Status != core.PaymentRefunded || out.Payment.RefundedMinor != 1000 {
		t.Fatalf("the rest: %+v, %+v", out.Return, out.Payment)
	}
	after := b.balance(t, guest)
	if after.ActualMinor != before.ActualMinor || after.PromoAvailableMinor != before.PromoAvailableMinor {
		t.Errorf("before %+v, after %+v", before, after)
	}
	_, err = b.refund(t, p.ID, 1)
	if f := faultOf(t, err, fault.CodeRefundExceedsPayment); !strings.Contains(f.Message, "0 are left") {
		t.Error(f)
	}
	b.sound(t)
}

// A branch's credential reads, voids and refunds the payments of its branch and
// those of no place; of another branch it learns nothing.
func TestAPaymentIsSeenWhereItsReturnsAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	p := b.paid(t, guest, 1000)
	for branch, seen := range map[string]bool{"": true, p.Place.BranchID: true, "brn_2": false} {
		call := b.call("paymentGet")
		call.Actor.BranchID = branch
		got, err := b.payments.Get(t.Context(), call, p.ID)
		if seen && (err != nil || got.Payment.ID != p.ID) {
			t.Errorf("from branch %q: %+v, %v", branch, got.Payment, err)
		}
		if !seen && (!fault.Is(err, fault.CodeNotFound) || got.Payment.ID != "" || got.Balance.ActualMinor != 0) {
			t.Errorf("from branch %q: %+v, %v", branch, got, err)
		}
	}
	if p.Place.BranchID != "brn_1" {
		t.Errorf("paid at %+v", p.Place)
	}
}

// One key is one refund, however often and at once it is sent.
func TestRefundUnderOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	p := b.paid(t, guest, 1000)
	key := uuid.NewString()
	codes := together(8, func(int) error {
		_, err := b.returns.Refund(t.Context(), b.callWith("refundCreate", key), returns.RefundInput{PaymentID: p.ID, AmountMinor: 100})
		return err
	})
	if codes[""] != 1 || codes["replay"] != 7 {
		t.Errorf("answers %v", codes)
	}
	if got, err := b.payments.Get(t.Context(), b.call("paymentGet"), p.ID); err != nil || got.Payment.RefundedMinor != 100 || got.Payment.Status != core.PaymentPartiallyRefunded {
		t.Errorf("%+v, %v", got.Payment, err)
	}
	b.sound(t)
}

// Credit of a lot clawed back since returns to its budget; of one that expired
// since it comes back with the merchant's grace.
func TestRefundToLotsThatEnded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *tenancy.Settings) { s.RefundGraceDays = 3 })
	guest := b.customer(t, identity.Verified)
	budget := b.budget(t, 1000)
	soon := b.clock.Now().Add(time.Hour)
	brief := b.issue(t, guest, 100, &soon)
	funded, err := b.grants.IssueByHand(t.Context(), b.call("issueGrant"), grants.HandInput{
		CustomerID: guest, Source: core.SourceGoodwill, AmountMinor: 200, Currency: "USD", BudgetID: budget,
	})
	must(t, err)
	p := b.paid(t, guest, 250) // 100 of the brief one, 150 of the funded one
	_, err = b.grants.ClawBack(t.Context(), b.call("clawbackGrant"), clawBack(funded.ID))
	must(t, err)
	b.clock.Advance(2 * time.Hour)
	_, err = b.grants.Expire(t.Context(), 10)
	must(t, err)
	out, err := b.refund(t, p.ID, 0)
	must(t, err)
	r := out.Return
	if r.ForfeitedMinor != 150 || r.PromoMinor != 100 || r.ActualMinor != 0 || len(r.Sources) != 1 || r.Sources[0] != (core.PromoSource{GrantID: brief.ID, AmountMinor: 100}) {
		t.Fatalf("%+v", r)
	}
	if spent := b.count(t, `SELECT spent_minor FROM budgets WHERE budget_id = $1`, budget); spent != 0 {
		t.Errorf("the budget has %d spent; 50 came back by the clawback and 150 by the refund", spent)
	}
	lots := b.balance(t, guest).Grants
	if len(lots) != 1 || lots[0].ID != brief.ID || !lots[0].ExpiresAt.Equal(b.clock.Now().Add(3*24*time.Hour)) {
		t.Errorf("%+v", lots)
	}
	b.sound(t)
}

// budget makes an envelope.
func (b *bench) budget(t testing.TB, limit int64) string {
	t.Helper()
	id := b.ids.Make("bud")
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) error {
		return st.Offers.InsertBudget(ctx, offers.Budget{
			ID: id, Tenant: b.tenant, Name: "June", Currency: "USD", CapMinor: limit, FundedBy: "merchant", StartsAt: start, CreatedAt: start,
		}, offers.Movement{ID: b.ids.Make("bmv"), BudgetID: id, Type: "created", AmountMinor: limit, AvailableAfterMinor: limit, At: start})
	}))
	return id
}

func TestReverseTopup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	top := b.topUp(t, guest, 2500)
	out, err := b.reverse(t, top.Topup.ID, false)
	must(t, err)
	if o := out.Topup; o.State != core.TopupReversed || o.ReversedActualMinor != 2500 || o.ReversedBonusMinor != 250 || out.Bonus.State != core.ClawedBack {
		t.Fatalf("%+v, %+v", o, out.Bonus)
	}
	if got := b.balance(t, guest); got.ActualMinor != 0 || got.PromoAvailableMinor != 0 {
		t.Errorf("left %+v", got)
	}
	if types := b.told(t, top.Topup.ID); !slices.Equal(types, []string{"topup.prepared", "topup.completed", "topup.reversed"}) {
		t.Errorf("told %v", types)
	}
	_, err = b.reverse(t, top.Topup.ID, true)
	wantCode(t, err, fault.CodeStateConflict)
	_, err = b.reverse(t, "top_none", true)
	wantCode(t, err, fault.CodeNotFound)
	pending, err := b.topups.Prepare(t.Context(), b.call("prepareTopup"), topup.PrepareInput{CustomerID: guest, AmountMinor: 100, Currency: "USD"})
	must(t, err)
	_, err = b.reverse(t, pending.Topup.ID, true)
	wantCode(t, err, fault.CodeStateConflict)
	b.sound(t)
}

// What is spent of a deposit is never taken from elsewhere, and what its bonus
// paid does not come back to the customer later.
func TestReverseTopupThatIsSpent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	top := b.topUp(t, guest, 2500)
	p := b.paid(t, guest, 1250) // the bonus of 250 and 1000 of actual money
	_, err := b.reverse(t, top.Topup.ID, false)
	f := faultOf(t, err, fault.CodeStateConflict)
	if !strings.Contains(f.Message, "only 1500") || f.Details[len(f.Details)-1].Message != "1500" {
		t.Errorf("%+v", f)
	}
	out, err := b.reverse(t, top.Topup.ID, true)
	must(t, err)
	if o := out.Topup; o.ReversedActualMinor != 1500 || o.ReversedBonusMinor != 0 || out.Bonus.State != core.ClawedBack {
		t.Fatalf("%+v, %+v", o, out.Bonus)
	}
	back, err := b.refund(t, p.ID, 0)
	must(t, err)
	if r := back.Return; r.ActualMinor != 1000 || r.PromoMinor != 0 || r.ForfeitedMinor != 250 {
		t.Errorf("%+v", r)
	}
	b.sound(t)
}

// A deposit is taken back once, and never with money that a payment takes at
// the same moment.
func TestReverseTopupTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	top := b.topUp(t, guest, 900)
	codes := together(16, func(i int) error {
		if i%2 == 0 {
			_, err := b.pay(t, b.code(t, guest), 100)
			return err
		}
		_, err := b.reverse(t, top.Topup.ID, true)
		return err
	})
	if codes[fault.CodeInternal] > 0 || codes[""] == 0 {
		t.Errorf("answers %v", codes)
	}
	got, err := b.topups.Get(t.Context(), b.call("getTopup"), top.Topup.ID)
	must(t, err)
	spent := b.count(t, `SELECT coalesce(sum(amount_minor), 0)::bigint FROM payments WHERE customer_id = $1 AND status = 'succeeded'`, guest)
	if got.Topup.ReversedActualMinor+spent+b.balance(t, guest).ActualMinor != 900 {
		t.Errorf("reversed %d, spent %d, left %d of 900", got.Topup.ReversedActualMinor, spent, b.balance(t, guest).ActualMinor)
	}
	b.sound(t)
}

// An audit names a payment, a return and a top-up that the postings do not bear out.
func TestVerifyFindsFalseReturns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	top := b.topUp(t, guest, 2500)
	p := b.paid(t, guest, 1000)
	_, err := b.refund(t, p.ID, 300)
	must(t, err)
	_, err = b.reverse(t, top.Topup.ID, true)
	must(t, err)
	b.sound(t)
	for _, sql := range []string{
		`UPDATE payments SET refunded_minor = 301 WHERE refunded_minor = 300`,
		`UPDATE topups SET reversed_actual_minor = reversed_actual_minor - 1 WHERE state = 'REVERSED'`,
		`INSERT INTO payment_returns (return_id, tenant_no, payment_id, kind, amount_minor, actual_minor, promo_minor, forfeited_minor, currency, grant_ids, grant_minors, entry_id, actor_id, at)
			SELECT 'ref_false', tenant_no, payment_id, kind, 1, 1, 0, 0, currency, '{}', '{}', 'ent_none', actor_id, at FROM payment_returns LIMIT 1`,
	} {
		_, err := b.db.Q().Exec(t.Context(), sql)
		must(t, err)
	}
	found := map[string]bool{}
	_, _, err = core.Verify(t.Context(), store.NewAudit(b.db), func(f core.Finding) { found[f.What] = true })
	must(t, err)
	// One payment row and one return too many cancel out; the return itself does not.
	for _, what := range []string{"return.actual_minor", "topup.reversed_actual_minor"} {
		if !found[what] {
			t.Errorf("%s was not found among %v", what, found)
		}
	}
	if _, err := b.db.Q().Exec(t.Context(), `DELETE FROM payment_returns`); err == nil {
		t.Error("a return could be deleted")
	}
}
