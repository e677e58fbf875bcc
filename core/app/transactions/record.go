package transactions

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// RecordInput is a sale to record.
type RecordInput struct {
	Transaction checkout.Transaction
	// Rulings are what Ask asked and Plan had decided.
	Rulings []checkout.Ruling
	// Credits are what applied cashback offers are worth; they are the customer's.
	Credits  []incentives.Credit
	Settings tenancy.Settings
	// Redeem consumes the offers of the sale; nil where there are none. It is
	// called when the wallet is done and before the receipt number is taken, so
	// that locks are taken in the order wallet, budgets, series.
	Redeem func(ctx context.Context) error
}

// Record writes a sale in the caller's transaction: the effects of what is
// decided about it, the record itself, its decisions and events. What is not
// decided yet is left for Retry. A sale is a purchase: it opens the claim gate
// of the first one, whatever the tender.
// Errors: checkout.ErrRecorded where the sale has a transaction already.
func (s *Service) Record(ctx context.Context, st app.Stores, in RecordInput) (checkout.Transaction, error) {
	tx, now := in.Transaction, in.Transaction.CreatedAt
	rulings, err := s.purchase(ctx, st, in)
	if err != nil {
		return tx, err
	}
	if in.Redeem != nil {
		if err := in.Redeem(ctx); err != nil {
			return tx, err
		}
	}
	if tx.TraceID != "" {
		if err := s.tellDecisions(ctx, st, tx.TraceID, tx, rulings, now); err != nil {
			return tx, err
		}
	}
	if err := st.Checkout.AddRulings(ctx, rulings...); err != nil {
		return tx, err
	}
	if tx, err = st.Checkout.Record(ctx, tx); err != nil {
		return tx, err
	}
	if payments := tx.PaymentIDs(); len(payments) > 0 {
		if err := st.Ledger.SetTransaction(ctx, tx.Tenant, tx.ID, payments); err != nil {
			return tx, err
		}
	}
	tx.Rulings = rulings
	created, err := s.event(tx.Tenant, "transaction.created", tx.ID, tx.TraceID, now, map[string]any{
		"transaction_id": tx.ID, "receipt_number": tx.ReceiptNumber, "session_id": orNull(tx.SessionID),
		"customer_id": orNull(tx.Buyer.CustomerID), "branch_id": orNull(tx.BranchID), "terminal_id": orNull(tx.TerminalID),
		"subtotal_minor": tx.SubtotalMinor, "discount_minor": tx.DiscountMinor, "total_minor": tx.TotalMinor,
		"currency": tx.Currency, "tender_types": tx.TenderTypes(), "payment_ids": append([]string{}, tx.PaymentIDs()...),
	})
	if err != nil {
		return tx, err
	}
	return tx, st.Events.Append(ctx, created)
}

// purchase notes the purchase in the customer's wallet and carries out what is
// decided, as one change of the wallet.
func (s *Service) purchase(ctx context.Context, st app.Stores, in RecordInput) ([]checkout.Ruling, error) {
	tx, now := in.Transaction, in.Transaction.CreatedAt
	rulings := s.attributed(tx, in.Rulings)
	if tx.Buyer.CustomerID == "" {
		return rulings, nil
	}
	if err := st.Ledger.OpenWallet(ctx, tx.Tenant, tx.Buyer.CustomerID, tx.Currency); err != nil {
		return nil, err
	}
	book, err := st.Ledger.Book(ctx, tx.Tenant, tx.Buyer.CustomerID)
	if err != nil {
		return nil, err
	}
	c := ledger.Begin(book.Wallet)
	first := c.Wallet.FirstPurchaseAt == nil
	if first {
		c.Wallet.FirstPurchaseAt = &now
	}
	if err := grants.Unlock(c, book.Lots, in.Settings.ClaimGate, book.Verified, now); err != nil {
		return nil, err
	}
	for i := range rulings {
		if rulings[i], err = grant(c, book.Verified, tx, rulings[i], in.Settings, now); err != nil {
			return nil, err
		}
	}
	if err := credit(c, book.Verified, tx, in, now); err != nil {
		return nil, err
	}
	if !first && len(c.Issued) == 0 && len(c.Grants) == 0 {
		return rulings, nil
	}
	return rulings, s.apply(ctx, st, c, now)
}

// attributed fills in the records of decided attributions.
func (s *Service) attributed(tx checkout.Transaction, rulings []checkout.Ruling) []checkout.Ruling {
	out := append([]checkout.Ruling(nil), rulings...)
	for i, r := range out {
		if r.Kind == actuation.KindAttribution && r.State == checkout.Committed {
			out[i].AttributionID, out[i].Offers, out[i].AmountMinor = s.IDs.Make("atb"), r.Attributed(), tx.TotalMinor
		}
	}
	return out
}

// grant puts the lots that a decided ruling gives into a change: those of a
// cashback, or of a merchant's own actuator.
func grant(c *ledger.Change, verified bool, tx checkout.Transaction, r checkout.Ruling, set tenancy.Settings, now time.Time) (checkout.Ruling, error) {
	if r.State != checkout.Committed || r.Plan.GrantMinor() == 0 {
		return r, nil
	}
	for _, e := range r.Plan.Effects {
		if e.Kind != actuation.EffectGrant {
			continue
		}
		in := grants.IssueInput{
			Tenant: tx.Tenant, CustomerID: tx.Buyer.CustomerID, Source: ledger.Source(e.Source), AmountMinor: e.AmountMinor,
			Currency: string(e.Currency), BudgetID: e.BudgetID, OriginID: tx.ID, TraceID: r.TraceID, Gate: set.ClaimGate, Now: now,
		}
		if !e.ExpiresAt.IsZero() {
			until := e.ExpiresAt
			in.ExpiresAt = &until
		}
		g, err := grants.Add(c, verified, in)
		if err != nil {
			return r, err
		}
		r.AmountMinor += g.AmountMinor
		if r.GrantID == "" {
			r.GrantID, r.EntryID = g.ID, c.Entries[len(c.Entries)-1].ID
		}
	}
	return r, nil
}

// credit puts what applied cashback offers are worth into a change. Their
// budgets have held it since they were applied. A wallet in another currency
// than the sale cannot take it.
func credit(c *ledger.Change, verified bool, tx checkout.Transaction, in RecordInput, now time.Time) error {
	if c.Wallet.Currency != tx.Currency {
		return nil
	}
	for _, credit := range in.Credits {
		_, err := grants.Add(c, verified, grants.IssueInput{
			Tenant: tx.Tenant, CustomerID: tx.Buyer.CustomerID, Source: ledger.SourceOffer, AmountMinor: credit.AmountMinor,
			Currency: tx.Currency, ExpiresAt: ledger.ExpiryAfter(now, in.Settings.CashbackExpiryDays), BudgetID: credit.BudgetID,
			OriginID: credit.OfferID, TraceID: tx.TraceID, Gate: in.Settings.ClaimGate, Now: now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// apply writes a change and tells of its lots: the new ones and the released.
func (s *Service) apply(ctx context.Context, st app.Stores, c *ledger.Change, now time.Time) error {
	if _, err := st.Ledger.Apply(ctx, c); err != nil {
		return err
	}
	var events []event.Event
	for _, lots := range [][]ledger.Grant{c.Grants, c.Issued} {
		for _, g := range lots {
			events = append(events, g.Event(s.IDs.Make(ids.Event), now, 0))
		}
	}
	if len(events) == 0 {
		return nil
	}
	return st.Events.Append(ctx, events...)
}

// tellDecisions writes the trace of what is decided, with its event.
func (s *Service) tellDecisions(ctx context.Context, st app.Stores, traceID string, tx checkout.Transaction, rulings []checkout.Ruling, now time.Time) error {
	tr, decisions, err := trace(traceID, tx, rulings, now)
	if err != nil {
		return err
	}
	if err := st.Decisions.SaveTrace(ctx, tr, decisions, nil); err != nil {
		return err
	}
	made := make([]map[string]any, 0, len(decisions))
	for _, d := range decisions {
		made = append(made, map[string]any{"decision_id": d.ID, "kind": d.Kind, "state": stateOf(d.State), "amount_minor": d.AmountMinor, "grant_id": orNull(d.GrantID)})
	}
	if len(made) == 0 {
		return nil // both are pending: they tell when they are made
	}
	subject := tx.SessionID
	if subject == "" {
		subject = tx.Buyer.CustomerID
	}
	e, err := s.event(tx.Tenant, "decision.made", subject, traceID, now, map[string]any{
		"decision_trace_id": traceID, "session_id": orNull(tx.SessionID), "customer_id": orNull(tx.Buyer.CustomerID),
		"transaction_id": tx.ID, "currency": tx.Currency, "decisions": made,
	})
	if err != nil {
		return err
	}
	return st.Events.Append(ctx, e)
}

// stateOf is a decision's state in the words of the surface.
func stateOf(state string) string {
	if state == "declined" {
		return string(checkout.Refused)
	}
	return string(checkout.Committed)
}

// settingsOf are the settings of a tenant's merchant.
func (s *Service) settingsOf(ctx context.Context, t tenancy.Tenant) (tenancy.Settings, error) {
	m, err := s.Directory.Merchant(ctx, t.MerchantID)
	if err != nil {
		return tenancy.Settings{}, err
	}
	if m.TenantNo != t.No {
		return tenancy.Settings{}, fault.NotFound("merchant")
	}
	return m.Settings, nil
}
