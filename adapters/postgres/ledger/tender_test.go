package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// session opens one with a basket of total.
func (b *bench) session(t testing.TB, customer string, total int64) checkout.Session {
	t.Helper()
	s := checkout.Session{
		ID: b.ids.Make(ids.Session), Tenant: b.tenant, Version: 1, State: checkout.Open, Currency: "USD", Origin: checkout.OriginPOS,
		Channel: checkout.DefaultChannel, CustomerID: customer, OpenedAt: b.clock.Now(), ExpiresAt: b.clock.Now().Add(time.Hour),
	}
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) (err error) {
		if err := st.Checkout.Insert(ctx, s); err != nil {
			return err
		}
		s.BasketRevision, s.BasketMinor = 1, total
		s, err = st.Checkout.Save(ctx, s)
		return err
	}))
	return s
}

func (b *bench) tender(t testing.TB, session string, c identity.Credential, amount int64) (payments.Result, error) {
	t.Helper()
	return b.payments.Authorize(t.Context(), b.call("paymentAuthorize"), payments.AuthorizeInput{SessionID: session, AmountMinor: amount, Currency: "USD", Credential: c})
}

func TestPaymentIsATenderOfItsSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	s := b.session(t, "", 1000)
	paid, err := b.tender(t, s.ID, b.code(t, guest), 400)
	must(t, err)
	after, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, s.ID)
	must(t, err)
	if after.PaidMinor != 400 || after.DueMinor() != 600 || after.CustomerID != guest || after.CredentialType != "qr" || after.Version != s.Version+1 {
		t.Fatalf("session %+v", after)
	}
	if n := b.count(t, "SELECT count(*) FROM events WHERE type = 'checkout.session.identified' AND subject = $1", s.ID); n != 1 {
		t.Errorf("%d identified events", n)
	}
	decisions, err := b.uow.Read().Decisions.BySession(t.Context(), b.tenant, s.ID)
	must(t, err)
	if len(decisions) != 1 || decisions[0].Kind != "wallet_debit" || decisions[0].TraceID != core.TraceID(paid.Payment.ID) || decisions[0].Card.Summary == "" {
		t.Errorf("decisions %+v", decisions)
	}
	_, err = b.tender(t, s.ID, b.code(t, guest), 601)
	if f := faultOf(t, err, fault.CodeAmountOutOfRange); f.Details[0].Field != "amount_minor" {
		t.Errorf("details %+v", f.Details)
	}
	other := b.customer(t, identity.Verified)
	b.topUp(t, other, 2500)
	_, err = b.tender(t, s.ID, b.code(t, other), 100)
	wantCode(t, err, fault.CodeStateConflict)
	b.clock.Advance(time.Millisecond)
	_, err = b.tender(t, s.ID, b.code(t, guest), 600)
	must(t, err)
	list, err := b.uow.Read().Ledger.PaymentsOfSession(t.Context(), b.tenant, s.ID)
	must(t, err)
	if len(list) != 2 || list[0].ID != paid.Payment.ID || list[0].TerminalID != "trm_1" {
		t.Errorf("%d payments, the first %s", len(list), list[0].ID)
	}
	b.clock.Advance(time.Hour)
	_, err = b.tender(t, s.ID, b.code(t, guest), 1)
	wantCode(t, err, fault.CodeSessionEnded)
	_, err = b.tender(t, "cs_none", b.code(t, guest), 1)
	wantCode(t, err, fault.CodeNotFound)
	b.sound(t)
}

// Two people pay one bill at the same moment: both payments stand, or the one
// that would overpay does not.
func TestSessionIsNeverOverpaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 5000)
	s := b.session(t, guest, 1000)
	codes := make([]identity.Credential, 16)
	for i := range codes {
		codes[i] = b.code(t, guest)
	}
	got := together(len(codes), func(i int) error {
		_, err := b.tender(t, s.ID, codes[i], 300)
		return err
	})
	if got[""] != 3 || got[fault.CodeAmountOutOfRange] != 13 {
		t.Fatalf("answers %v", got)
	}
	after, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, s.ID)
	must(t, err)
	if after.PaidMinor != 900 {
		t.Fatalf("paid %d", after.PaidMinor)
	}
	b.sound(t)
}

func TestCodeBoundToASessionPaysOnlyThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	code := b.code(t, guest)
	bound, other := b.session(t, guest, 1000), b.session(t, guest, 1000)
	ok, err := b.uow.Read().Identity.BindCode(t.Context(), b.tenant, identity.HashCode(b.tenant, code), bound.ID)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, err = b.tender(t, other.ID, code, 100)
	wantCode(t, err, fault.CodeStateConflict)
	_, err = b.pay(t, code, 100)
	wantCode(t, err, fault.CodeStateConflict)
	_, err = b.tender(t, bound.ID, code, 100)
	must(t, err)
}

func TestPaymentIsRefusedInTheContractsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *tenancy.Settings) { s.MinPaymentMinor, s.Currencies = 50, []string{"USD", "QAR"} })
	guest := b.customer(t, identity.Verified)
	code := b.code(t, guest)
	try := func(c identity.Credential, session string, amount int64, currency string) error {
		_, err := b.payments.Authorize(t.Context(), b.call("paymentAuthorize"), payments.AuthorizeInput{SessionID: session, AmountMinor: amount, Currency: currency, Credential: c})
		return err
	}
	wantCode(t, try(identity.Credential{Type: identity.CardFingerprint, Value: "x"}, "", 100, "USD"), fault.CodeUnsupportedCredentialType)
	wantCode(t, try(code, "", 100, "EUR"), fault.CodeUnsupportedCurrency)
	wantCode(t, try(identity.Credential{Type: identity.QR, Value: "unknown"}, "", 100, "USD"), fault.CodeNotFound)
	wantCode(t, try(identity.Credential{Type: identity.ShortCode, Value: code.Value}, "", 100, "USD"), fault.CodeNotFound)
	wantCode(t, try(code, "", 100, "QAR"), fault.CodeCurrencyMismatch)
	wantCode(t, try(code, "", 49, "USD"), fault.CodeAmountOutOfRange)
	wantCode(t, try(code, "", 50, "USD"), fault.CodeInsufficientFunds)
	b.clock.Advance(10 * time.Minute)
	wantCode(t, try(code, "cs_none", 100, "USD"), fault.CodeNotFound) // existence before the code's state
	wantCode(t, try(code, "", 49, "USD"), fault.CodeCredentialExpired)
	if n := b.count(t, "SELECT count(*) FROM idempotency"); n != 1 { // of all these, the decline alone is pinned
		t.Errorf("%d answers were pinned", n)
	}
}

func TestDisabledCustomerLooksLikeNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	code := b.code(t, guest)
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, guest, identity.Disabled, b.clock.Now()))
	_, err := b.pay(t, code, 100)
	wantCode(t, err, fault.CodeNotFound)
}

// A merchant's codes, payments, grants and wallets are nothing to another one,
// also of the same partner.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	top := b.topUp(t, guest, 2500)
	code := b.code(t, guest)
	paid, err := b.pay(t, b.code(t, guest), 100)
	must(t, err)
	b.tenant = b.merchant(t)
	_, err = b.pay(t, code, 100)
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.payments.Get(t.Context(), b.call("paymentGet"), paid.Payment.ID)
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.payments.Capture(t.Context(), b.call("paymentCapture"), payments.CaptureInput{PaymentID: paid.Payment.ID, Code: "1"})
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.topups.Balance(t.Context(), b.call("getWalletBalance"), guest)
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.topups.Get(t.Context(), b.call("getTopup"), top.Topup.ID)
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.topups.Confirm(t.Context(), b.call("confirmTopup"), topup.ConfirmInput{TopupID: top.Topup.ID, Reference: top.Topup.Reference})
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.grants.ClawBack(t.Context(), b.call("clawbackGrant"), clawBack(top.Bonus.ID))
	wantCode(t, err, fault.CodeNotFound)
	if list, err := b.uow.Read().Ledger.GrantsOf(t.Context(), b.tenant, guest, core.GrantFilter{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("grants of another tenant: %v, %v", list, err)
	}
}

// Rule 26, for the gates that money opens.
func TestGatesReleaseWhatWaited(t *testing.T) {
	t.Parallel()
	t.Run("first top-up", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(s *tenancy.Settings) { s.ClaimGate = tenancy.GateOnFirstTopup })
		guest := b.customer(t, identity.Verified)
		waiting := b.issueUnder(t, guest, 70, tenancy.GateOnFirstTopup)
		if waiting.State != core.Locked {
			t.Fatalf("before the first top-up: %s", waiting.State)
		}
		top := b.topUp(t, guest, 2500)
		if top.Balance.PromoAvailableMinor != 320 || top.Balance.PromoLockedMinor != 0 || top.Bonus.State != core.Released {
			t.Fatalf("balance %+v", top.Balance)
		}
		if n := b.count(t, "SELECT count(*) FROM events WHERE type = 'grant.released'"); n != 2 {
			t.Errorf("%d released events", n)
		}
		b.sound(t)
	})
	t.Run("first purchase", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(s *tenancy.Settings) { s.ClaimGate = tenancy.GateOnFirstPurchase })
		guest := b.customer(t, identity.Verified)
		b.topUp(t, guest, 2500)
		paid, err := b.pay(t, b.code(t, guest), 100)
		must(t, err)
		if paid.Payment.Debit.PromoMinor() != 0 || paid.Balance.PromoAvailableMinor != 250 || paid.Balance.PromoLockedMinor != 0 {
			t.Fatalf("the first purchase: %+v, %+v", paid.Payment.Debit, paid.Balance)
		}
		if got := b.balance(t, guest); got.PromoAvailableMinor != 250 {
			t.Fatalf("stored %+v", got)
		}
		b.sound(t)
	})
}

func (b *bench) issueUnder(t testing.TB, customer string, amount int64, gate tenancy.ClaimGate) core.Grant {
	t.Helper()
	return b.issueInput(t, customer, amount, nil, gate)
}

func TestBalanceCheckLeavesTheCredentialUsable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	code := b.code(t, guest)
	got, err := b.payments.BalanceCheck(t.Context(), b.call("redeemBalanceCheck"), payments.CheckInput{Credential: code, AmountMinor: 3000, Currency: "USD"})
	must(t, err)
	if got.ActualMinor != 2500 || got.PromoMinor != 250 || got.Sufficient || got.Recovery.ShortfallMinor != 250 || len(got.Recovery.Options) != 4 {
		t.Fatalf("check %+v", got)
	}
	got, err = b.payments.BalanceCheck(t.Context(), b.call("redeemBalanceCheck"), payments.CheckInput{Credential: code, AmountMinor: 2750})
	must(t, err)
	if !got.Sufficient || got.Recovery.Options != nil {
		t.Fatalf("check %+v", got)
	}
	_, err = b.pay(t, code, 2750)
	must(t, err)
}

// The payment's place is kept: a payment on its own becomes a transaction later.
func TestPaymentKeepsItsPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	paid, err := b.pay(t, b.code(t, guest), 300)
	must(t, err)
	row, err := pg.One[struct{ BranchID, TerminalID, Data string }](t.Context(), b.db.Q(), `SELECT p.branch_id, p.terminal_id, e.data::text AS data
		FROM payments p JOIN events e ON e.subject = p.payment_id AND e.type = 'payment.succeeded' WHERE p.payment_id = $1`, paid.Payment.ID)
	must(t, err)
	if row.BranchID != "brn_1" || row.TerminalID != "trm_1" {
		t.Errorf("place %+v", row)
	}
}
