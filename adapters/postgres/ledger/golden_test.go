package ledger_test

import (
	"testing"
	"time"

	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
)

func TestGoldenPathFigures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	code := b.code(t, guest)

	_, err := b.pay(t, code, 1175)
	short := faultOf(t, err, fault.CodeInsufficientFunds)
	if r := short.Recovery; r.ShortfallMinor != 1175 || r.ActualMinor != 0 || r.PromoAvailableMinor != 0 || short.TraceID == "" {
		t.Fatalf("recovery %+v, trace %q", r, short.TraceID)
	}
	if got := optionTypes(short.Recovery); got != "topup_exact topup_tier split_tender" {
		t.Fatalf("options %q", got)
	}
	if tier := short.Recovery.Options[1]; *tier.TopupMinor != 2500 || *tier.BonusMinor != 250 || tier.BalanceAfter.ActualMinor != 1575 {
		t.Fatalf("tier option %+v", tier)
	}

	top := b.topUp(t, guest, 2500)
	if top.Topup.State != core.TopupCompleted || top.Bonus == nil || top.Bonus.State != core.Released || top.Bonus.AmountMinor != 250 {
		t.Fatalf("top-up %+v, bonus %+v", top.Topup, top.Bonus)
	}
	if top.Balance.ActualMinor != 2500 || top.Balance.PromoAvailableMinor != 250 || top.Balance.PendingTopupsMinor != 0 {
		t.Fatalf("balance %+v", top.Balance)
	}

	paid, err := b.pay(t, code, 1175)
	must(t, err)
	d := paid.Payment.Debit
	if d.PromoMinor() != 250 || d.ActualMinor != 925 || len(d.Sources) != 1 || d.Sources[0].GrantID != top.Bonus.ID {
		t.Fatalf("debit %+v", d)
	}
	if paid.Balance.ActualMinor != 1575 || paid.Balance.PromoAvailableMinor != 0 || len(paid.Balance.Grants) != 0 {
		t.Fatalf("balance %+v", paid.Balance)
	}
	if got := b.balance(t, guest); got.ActualMinor != 1575 || got.PromoAvailableMinor != 0 || got.Version != paid.Balance.Version {
		t.Fatalf("stored balance %+v, answered %+v", got, paid.Balance)
	}
	_, err = b.pay(t, code, 1)
	wantCode(t, err, fault.CodeCredentialUsed)
	b.sound(t)
}

func optionTypes(r *fault.Recovery) string {
	s := ""
	for _, o := range r.Options {
		if s != "" {
			s += " "
		}
		s += o.Type
	}
	return s
}

func TestPaymentByOneTimeCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.PendingProof)
	b.topUp(t, guest, 2500)
	if got := b.balance(t, guest); got.PromoLockedMinor != 250 || got.PromoAvailableMinor != 0 || got.ActualMinor != 2500 {
		t.Fatalf("an unverified wallet: %+v", got) // rule 28
	}
	_, err := b.pay(t, b.code(t, guest), 100)
	wantCode(t, err, fault.CodeIdentityProbationary)

	open, err := b.pay(t, identity.Credential{Type: identity.Phone, Value: phoneOf(guest)}, 1000)
	must(t, err)
	if open.Payment.Status != core.PaymentRequiresCapture || open.SandboxCode == "" || open.Payment.Debit.AmountMinor() != 0 {
		t.Fatalf("opened %+v", open)
	}
	wrong := func() error {
		_, err := b.payments.Capture(t.Context(), b.call("paymentCapture"), payments.CaptureInput{PaymentID: open.Payment.ID, Code: "wrong"})
		return err
	}
	wantCode(t, wrong(), fault.CodeVerificationFailed)
	if got := b.balance(t, guest); got.ActualMinor != 2500 {
		t.Fatalf("a wrong code moved money: %+v", got)
	}
	call := b.call("paymentCapture")
	paid, err := b.payments.Capture(t.Context(), call, payments.CaptureInput{PaymentID: open.Payment.ID, Code: open.SandboxCode})
	must(t, err)
	if paid.Payment.Status != core.PaymentSucceeded || paid.Payment.Debit.PromoMinor() != 250 || paid.Payment.Debit.ActualMinor != 750 {
		t.Fatalf("captured %+v", paid.Payment)
	}
	_, err = b.payments.Capture(t.Context(), b.call("paymentCapture"), payments.CaptureInput{PaymentID: open.Payment.ID, Code: open.SandboxCode})
	wantCode(t, err, fault.CodeStateConflict)
	got, err := b.payments.Get(t.Context(), call, open.Payment.ID)
	must(t, err)
	if got.Payment.Debit.ActualMinor != 750 || got.Payment.CapturedAt == nil || !got.Payment.CreatedAt.Equal(open.Payment.CreatedAt) {
		t.Fatalf("read back %+v", got.Payment)
	}
	b.sound(t)
}

func TestWrongCodesExhaust(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	open, err := b.pay(t, identity.Credential{Type: identity.Phone, Value: phoneOf(guest)}, 1000)
	must(t, err)
	try := func(code string) error {
		_, err := b.payments.Capture(t.Context(), b.call("paymentCapture"), payments.CaptureInput{PaymentID: open.Payment.ID, Code: code})
		return err
	}
	for range core.MaxCodeAttempts - 1 {
		wantCode(t, try("wrong"), fault.CodeVerificationFailed)
	}
	wantCode(t, try("wrong"), fault.CodeAttemptsExhausted)
	if f := faultOf(t, try(open.SandboxCode), fault.CodeAttemptsExhausted); f.RetryAfter == 0 {
		t.Fatal("no Retry-After")
	}
	if got := b.balance(t, guest); got.ActualMinor != 2500 {
		t.Fatalf("balance %+v", got)
	}
	got, err := b.payments.Get(t.Context(), b.call("paymentGet"), open.Payment.ID)
	must(t, err)
	if got.Payment.Status != core.PaymentFailed || got.Payment.FailureCode != string(fault.CodeAttemptsExhausted) {
		t.Fatalf("payment %+v", got.Payment)
	}
}

func TestConfirmCreditsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	first := b.topUp(t, guest, 2500)
	again, err := b.topups.Confirm(t.Context(), b.call("confirmTopup"), topup.ConfirmInput{TopupID: first.Topup.ID, Reference: first.Topup.Reference})
	must(t, err)
	if again.Topup.State != core.TopupCompleted || again.Bonus == nil || again.Bonus.ID != first.Bonus.ID || again.Balance.ActualMinor != 2500 {
		t.Fatalf("confirmed again: %+v", again)
	}
	_, err = b.topups.Confirm(t.Context(), b.call("confirmTopup"), topup.ConfirmInput{TopupID: first.Topup.ID, Reference: "other"})
	wantCode(t, err, fault.CodeStateConflict)

	second, err := b.topups.Prepare(t.Context(), b.call("prepareTopup"), topup.PrepareInput{CustomerID: guest, AmountMinor: 1000, Currency: "USD"})
	must(t, err)
	if second.Balance.PendingTopupsMinor != 1000 || second.Topup.Provider != "stripe" || len(second.Topup.Artifact) == 0 {
		t.Fatalf("prepared %+v", second)
	}
	_, err = b.topups.Confirm(t.Context(), b.call("confirmTopup"), topup.ConfirmInput{TopupID: second.Topup.ID, Reference: first.Topup.Reference})
	wantCode(t, err, fault.CodeDuplicateReference)
	b.sound(t)

	b.clock.Advance(core.PendingLife)
	got, err := b.topups.Get(t.Context(), b.call("getTopup"), second.Topup.ID)
	must(t, err)
	if got.Topup.State != core.TopupExpired {
		t.Fatalf("before the sweep: %s", got.Topup.State)
	}
	if n, err := b.topups.Expire(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("sweep: %d, %v", n, err)
	}
	_, err = b.topups.Confirm(t.Context(), b.call("confirmTopup"), topup.ConfirmInput{TopupID: second.Topup.ID, Reference: "late"})
	wantCode(t, err, fault.CodeStateConflict)
	if got := b.balance(t, guest); got.PendingTopupsMinor != 0 || got.ActualMinor != 2500 {
		t.Fatalf("balance %+v", got)
	}
	b.sound(t)
}

func TestSKUTopup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	sku := core.SKU{ID: "TOPUP-20", Name: "Top-up card 20", ValueMinor: 2000, BonusMinor: 200, ExpiryDays: 90, Currency: "USD", Active: true}
	stored, err := b.topups.RegisterSKU(t.Context(), b.call("registerTopupSku"), sku)
	must(t, err)
	if !stored.Created || stored.SKU.ValueMinor != 2000 {
		t.Fatalf("registered %+v", stored)
	}
	sold, err := b.topups.RecordSKU(t.Context(), b.call("recordSkuTopup"), topup.RecordSKUInput{SKUID: sku.ID, CustomerID: guest, Quantity: 2})
	must(t, err)
	if sold.Topup.AmountMinor != 4000 || sold.Bonus.AmountMinor != 400 || sold.Bonus.Source != core.SourceSKUBonus || sold.Balance.ActualMinor != 4000 {
		t.Fatalf("sold %+v", sold)
	}
	if !sold.Bonus.ExpiresAt.Equal(start.AddDate(0, 0, 90)) {
		t.Fatalf("bonus expires %s", sold.Bonus.ExpiresAt)
	}
	sku.Active = false
	stored, err = b.topups.RegisterSKU(t.Context(), b.call("registerTopupSku"), sku)
	must(t, err)
	if stored.Created {
		t.Fatal("a SKU that existed counts as created")
	}
	_, err = b.topups.RecordSKU(t.Context(), b.call("recordSkuTopup"), topup.RecordSKUInput{SKUID: sku.ID, CustomerID: guest, Quantity: 1})
	wantCode(t, err, fault.CodeStateConflict)
	page, err := b.topups.ListSKUs(t.Context(), b.call("listTopupSkus"), topup.ListSKUsInput{Limit: 1})
	must(t, err)
	if len(page.SKUs) != 1 || page.Next != "" {
		t.Fatalf("page %+v", page)
	}
	b.sound(t)
}

func TestExpiryAndClawback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	soon := start.Add(time.Hour)
	short := b.issue(t, guest, 300, &soon)
	long := b.issue(t, guest, 500, nil)
	b.clock.Advance(time.Hour)
	if got := b.balance(t, guest); got.PromoAvailableMinor != 500 || len(got.Grants) != 1 || got.Grants[0].ID != long.ID {
		t.Fatalf("a lapsed lot shows before the sweep: %+v", got)
	}
	_, err := b.pay(t, b.code(t, guest), 501)
	wantCode(t, err, fault.CodeInsufficientFunds)
	if n, err := b.grants.Expire(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("sweep: %d, %v", n, err)
	}
	g, err := b.uow.Read().Ledger.Grant(t.Context(), b.tenant, short.ID)
	must(t, err)
	if g.State != core.Expired || g.RemainingMinor != 0 {
		t.Fatalf("expired lot %+v", g)
	}
	_, err = b.pay(t, b.code(t, guest), 200)
	must(t, err)
	back, err := b.grants.ClawBack(t.Context(), b.call("clawbackGrant"), clawBack(long.ID))
	must(t, err)
	if back.ReturnedMinor != 300 || back.Grant.State != core.ClawedBack || back.Balance.PromoAvailableMinor != 0 {
		t.Fatalf("clawed back %+v", back)
	}
	_, err = b.grants.ClawBack(t.Context(), b.call("clawbackGrant"), clawBack(long.ID))
	wantCode(t, err, fault.CodeGrantNotClawbackable)
	b.sound(t)
}
