package payments

import (
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/actuation/record"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/money"
)

// judge checks everything but the funds, in the contract's order: replay,
// existence, credential, session, amounts, identity. Then it writes down the
// facts that the wallet actuator plans on.
func (j *job) judge(now time.Time, source *ids.Source) error {
	st := &j.state
	if st.Replay != nil {
		return j.call.Pin.Check(*st.Replay)
	}
	if err := j.exists(); err != nil {
		return err
	}
	if err := j.credential(now); err != nil {
		return err
	}
	if err := checkSession(st.Session, j.payment, st.Wallet.CustomerID, now); err != nil {
		return err
	}
	if err := checkAmount(st.Session, j.payment, st.Wallet.Currency, j.settings.MinPaymentMinor); err != nil {
		return err
	}
	if !st.Verified {
		return fault.Field(fault.CodeIdentityProbationary, "credential", "verified_phone",
			"the customer's phone is not proven yet; pay with a phone credential, whose one-time code proves it")
	}
	j.facts(now, source)
	return nil
}

func (j *job) exists() error {
	st := &j.state
	switch {
	case j.want.PaymentID != "" && st.Status == "":
		return fault.NotFound("payment")
	case j.want.PaymentID == "" && (st.Code == nil || st.Code.Type != identity.CredentialType(j.payment.CredentialType)):
		return fault.NotFound("credential")
	case st.Wallet == nil || !st.Active: // a disabled customer looks like none (rule 10)
		return fault.NotFound("credential")
	case j.want.SessionID != "" && st.Session == nil:
		return fault.NotFound("session")
	}
	return nil
}

// credential checks that the code may still pay, here.
func (j *job) credential(now time.Time) error {
	c := j.state.Code
	switch {
	case j.want.PaymentID != "":
		return capturable(j.state.Status)
	case c.Live(now) != nil:
		return c.Live(now)
	case c.BoundSessionID != "" && c.BoundSessionID != j.want.SessionID:
		return fault.Field(fault.CodeStateConflict, "credential", "bound_session",
			"the code identified another session and pays only there; mint a new one")
	}
	return nil
}

// capturable gives nil for a payment that waits for its code.
func capturable(status ledger.PaymentStatus) error {
	if status == ledger.PaymentRequiresCapture {
		return nil
	}
	return fault.Field(fault.CodeStateConflict, "id", "requires_capture", "the payment is %s; there is nothing to capture", status)
}

// checkSession checks that customer may pay in the session, where there is one.
func checkSession(s *checkout.Session, p ledger.Payment, customerID string, now time.Time) error {
	if s == nil {
		return nil
	}
	if err := s.Live(now); err != nil {
		return err
	}
	switch {
	case s.CustomerID != "" && s.CustomerID != customerID:
		return fault.Field(fault.CodeStateConflict, "credential", "session_customer",
			"the session belongs to another customer; pay with that customer's credential")
	case s.Currency != p.Currency:
		return fault.Field(fault.CodeCurrencyMismatch, "currency", "session_currency", "the session is in %s; pay in %s", s.Currency, s.Currency)
	}
	return nil
}

// checkAmount checks the amount against the session and the merchant's minimum.
func checkAmount(s *checkout.Session, p ledger.Payment, walletCurrency string, minimum int64) error {
	switch {
	case walletCurrency != p.Currency:
		return fault.Field(fault.CodeCurrencyMismatch, "currency", "wallet_currency", "the wallet is in %s; pay in %s", walletCurrency, walletCurrency)
	case p.AmountMinor < max(minimum, 1) || p.AmountMinor > money.MaxMinor:
		return fault.Field(fault.CodeAmountOutOfRange, "amount_minor", "merchant_range",
			"give %d to %d minor units", max(minimum, 1), money.MaxMinor)
	case s != nil && p.AmountMinor > s.DueMinor():
		return fault.Field(fault.CodeAmountOutOfRange, "amount_minor", "at_most_due",
			"the session has %d minor units due; pay at most that", s.DueMinor())
	}
	return nil
}

// facts fills in the payment and the snapshot for the actuator.
func (j *job) facts(now time.Time, source *ids.Source) {
	st, p, call := &j.state, &j.payment, j.call
	if p.ID == "" {
		p.ID = source.Make(ids.Payment)
	}
	p.Tenant, p.CustomerID = call.Tenant, st.Wallet.CustomerID
	if p.CreatedAt.IsZero() {
		p.CreatedAt = now
		p.BrandID, p.BranchID, p.TerminalID, p.CashierID = call.BrandID, call.BranchID, call.TerminalID, call.CashierID
	}
	s := actuation.Snapshot{
		ID: p.ID, Kind: actuation.KindWalletDebit, PartnerID: call.Tenant.PartnerID, MerchantID: call.Tenant.MerchantID,
		Mode: call.Tenant.Mode, CustomerID: p.CustomerID, SessionID: p.SessionID, Currency: money.Currency(p.Currency), At: now,
		AmountMinor: p.AmountMinor,
		Wallet:      actuation.Wallet{ActualMinor: st.Wallet.ActualMinor, Verified: st.Verified},
	}
	for _, g := range st.Lots { // in spending order already
		if g.State != ledger.Released || g.Lapsed(now) {
			continue
		}
		lot := actuation.Lot{GrantID: g.ID, RemainingMinor: g.RemainingMinor, IssuedAt: g.CreatedAt}
		if g.ExpiresAt != nil {
			lot.ExpiresAt = *g.ExpiresAt
		}
		s.Lots = append(s.Lots, lot)
		s.Wallet.PromoAvailableMinor += g.RemainingMinor
	}
	j.snapshot = s
}

// decide turns the proven plan into what is to be committed. A decline comes
// back as *declined.
func (j *job) decide(now time.Time, source *ids.Source) (Posting, error) {
	if j.plan.Err != nil {
		return Posting{}, j.plan.Err
	}
	switch refusal := j.plan.Plan.Refusal; refusal {
	case "":
	case actuation.RefusalInsufficientFunds:
		return Posting{}, &declined{settings: j.settings, payment: j.payment, state: j.state, snapshot: j.snapshot, plan: j.plan, at: now}
	default:
		return Posting{}, fault.Field(fault.CodeStateConflict, "amount_minor", refusal, "%s", j.plan.Plan.Reasoning.Summary)
	}
	return j.post(now, source)
}

func (j *job) post(now time.Time, source *ids.Source) (Posting, error) {
	p := j.payment
	p.Status, p.Debit, p.CapturedAt, p.Code = ledger.PaymentSucceeded, debitOf(j.plan.Plan), &now, nil
	p.EntryID = source.Make(ids.Entry)
	c := ledger.Begin(*j.state.Wallet)
	head := ledger.Head{ID: p.EntryID, Kind: ledger.EntryPayment, RefID: p.ID, TraceID: ledger.TraceID(p.ID), At: now}
	if err := c.Pay(head, p.Debit, j.state.Lots); err != nil {
		return Posting{}, fault.Internal(err)
	}
	// A first purchase may be what LOCKED lots waited for; what it releases can
	// pay for the next one.
	if j.state.Wallet.FirstPurchaseAt == nil {
		if err := grants.Unlock(c, j.state.Lots, j.settings.ClaimGate, j.state.Verified, now); err != nil {
			return Posting{}, fault.Internal(err)
		}
	}
	posting := Posting{CodeHash: j.want.CodeHash, Change: c, Payment: p, Decision: j.record(), Session: j.tender(p), At: now, Where: j.state.Where}
	posting.Events = j.events(c, p, posting.Session, now, source)
	after := c.Wallet
	after.Version++
	j.result = Result{Payment: p, Balance: after.Balance(c.Lots(j.state.Lots), now)}
	return posting, j.pin(&posting, now)
}

// pin encodes the answer, which is stored by the statement that earns it.
func (j *job) pin(posting *Posting, now time.Time) error {
	if j.call.Pin == nil {
		return nil
	}
	o, err := j.call.Pin.Encode(j.result, nil)
	if err != nil {
		return err
	}
	record := j.call.Pin.Record(now)
	record.Outcome = o
	posting.Pin = &record
	return nil
}

// tender is the session with this payment as one of its tenders; nil outside of
// sessions.
func (j *job) tender(p ledger.Payment) *checkout.Session {
	if j.state.Session == nil {
		return nil
	}
	s := *j.state.Session
	s.PaidMinor += p.AmountMinor
	if s.CustomerID == "" || s.Probationary {
		s.CustomerID, s.CredentialType, s.Probationary = p.CustomerID, p.CredentialType, false
	}
	return &s
}

func (j *job) events(c *ledger.Change, p ledger.Payment, s *checkout.Session, now time.Time, source *ids.Source) []event.Event {
	events := make([]event.Event, 0, 2+len(c.Grants))
	if s != nil && j.state.Session.CustomerID == "" {
		events = append(events, s.Identified(source.Make(ids.Event), now))
	}
	events = append(events, p.Event(source.Make(ids.Event), ledger.EventPaymentSucceeded, now))
	for _, g := range c.Grants {
		if before, ok := lot(j.state.Lots, g.ID); !ok || before.State != g.State {
			events = append(events, g.Event(source.Make(ids.Event), now, 0))
		}
	}
	return events
}

func lot(lots []ledger.Grant, id string) (ledger.Grant, bool) {
	for _, g := range lots {
		if g.ID == id {
			return g, true
		}
	}
	return ledger.Grant{}, false
}

// debitOf reads the debit out of a proven plan. Effects that move nothing
// (annotations, messages) stay with the plan.
func debitOf(p actuation.Plan) ledger.Debit {
	var d ledger.Debit
	for i := range p.Effects {
		e := &p.Effects[i]
		switch {
		case e.Kind != actuation.EffectDebit:
		case e.Class == money.Promo:
			d.Sources = append(d.Sources, ledger.PromoSource{GrantID: e.GrantID, AmountMinor: e.AmountMinor})
		default:
			d.ActualMinor += e.AmountMinor
		}
	}
	return d
}

// record is what is kept with the payment: planning the snapshot again with the
// same actuator gives the plan, byte for byte.
func (j *job) record() []byte {
	d := record.Decision{Actuator: j.plan.Actuator.Name, Version: j.plan.Actuator.Version, Snapshot: j.snapshot, Plan: j.plan.Plan}
	return d.Append(nil)
}
