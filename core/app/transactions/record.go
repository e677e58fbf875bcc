package transactions

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
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
	out, err := s.RecordAll(ctx, st, []RecordInput{in})
	if err != nil {
		return in.Transaction, err
	}
	return out[0], nil
}

// RecordAll is Record for many sales, of any merchants, in as many statements
// as for one. Locks are taken in the order wallets, budgets, series; each kind
// in an order of its own.
func (s *Service) RecordAll(ctx context.Context, st app.Stores, ins []RecordInput) ([]checkout.Transaction, error) {
	b := books{sales: make([]checkout.Transaction, len(ins)), rulings: make([][]checkout.Ruling, len(ins))}
	for i, in := range ins {
		b.sales[i], b.rulings[i] = in.Transaction, s.attributed(in.Transaction, in.Rulings)
	}
	if err := s.purchases(ctx, st, ins, &b); err != nil {
		return nil, err
	}
	for _, in := range ins {
		if in.Redeem == nil {
			continue
		}
		if err := b.tell(ctx, st); err != nil { // what happened first is told first
			return nil, err
		}
		if err := in.Redeem(ctx); err != nil {
			return nil, err
		}
	}
	return b.sales, s.enter(ctx, st, &b)
}

// books are sales on their way into the books, each with its rulings, and the
// events of what they did to wallets.
type books struct {
	sales   []checkout.Transaction
	rulings [][]checkout.Ruling
	events  []event.Event
}

// tell appends the events so far.
func (b *books) tell(ctx context.Context, st app.Stores) error {
	if len(b.events) == 0 {
		return nil
	}
	err := st.Events.Append(ctx, b.events...)
	b.events = nil
	return err
}

// enter writes the sales, what was decided about them, and the events.
func (s *Service) enter(ctx context.Context, st app.Stores, b *books) error {
	if err := s.tellDecisions(ctx, st, b); err != nil {
		return err
	}
	var rulings []checkout.Ruling
	records := make([]*checkout.Transaction, len(b.sales))
	for i := range b.sales {
		records[i] = &b.sales[i]
		rulings = append(rulings, b.rulings[i]...)
	}
	if err := st.Checkout.AddRulings(ctx, rulings...); err != nil {
		return err
	}
	if err := s.command(ctx, st, rulings); err != nil {
		return err
	}
	if err := st.Checkout.Record(ctx, records...); err != nil {
		return err
	}
	var of []ledger.PaymentOf
	for i := range b.sales {
		tx := &b.sales[i]
		tx.Rulings = b.rulings[i]
		for _, id := range tx.PaymentIDs() {
			of = append(of, ledger.PaymentOf{PaymentRef: ledger.PaymentRef{Tenant: tx.Tenant, ID: id}, TransactionID: tx.ID})
		}
		created, err := s.created(tx)
		if err != nil {
			return err
		}
		b.events = append(b.events, created)
	}
	if err := st.Ledger.SetTransactions(ctx, of); err != nil {
		return err
	}
	return b.tell(ctx, st)
}

// created is the news of a sale.
func (s *Service) created(tx *checkout.Transaction) (event.Event, error) {
	return s.event(tx.Tenant, "transaction.created", tx.ID, tx.TraceID, tx.CreatedAt, map[string]any{
		"transaction_id": tx.ID, "receipt_number": tx.ReceiptNumber, "session_id": orNull(tx.SessionID),
		"customer_id": orNull(tx.Buyer.CustomerID), "branch_id": orNull(tx.BranchID), "terminal_id": orNull(tx.TerminalID),
		"subtotal_minor": tx.SubtotalMinor, "discount_minor": tx.DiscountMinor, "total_minor": tx.TotalMinor,
		"currency": tx.Currency, "tender_types": tx.TenderTypes(), "payment_ids": append([]string{}, tx.PaymentIDs()...),
	})
}

// purchases notes the purchases in the customers' wallets and carries out what
// is decided, as one change of each wallet.
func (s *Service) purchases(ctx context.Context, st app.Stores, ins []RecordInput, b *books) error {
	held, err := wallets(ctx, st, ins)
	if err != nil {
		return err
	}
	changes := make(map[ledger.Owner]*purse, len(held))
	order := make([]*purse, len(held))
	for i, book := range held {
		order[i] = &purse{book: book, change: ledger.Begin(book.Wallet)}
		for _, id := range book.Asked { // a buyer may have been merged since
			changes[ledger.Owner{Tenant: book.Wallet.Tenant, CustomerID: id}] = order[i]
		}
	}
	for i, in := range ins {
		owner := ownerOf(in.Transaction)
		if owner.CustomerID == "" {
			continue
		}
		p := changes[owner]
		if p == nil {
			return fault.NotFound("customer")
		}
		if err := p.purchase(in, b.rulings[i]); err != nil {
			return err
		}
	}
	var applied []*ledger.Change
	for _, p := range order {
		if p.moved() {
			applied = append(applied, p.change)
			b.events = append(b.events, s.lotEvents(p.change, p.at)...)
		}
	}
	return st.Ledger.ApplyAll(ctx, applied)
}

func ownerOf(tx checkout.Transaction) ledger.Owner {
	return ledger.Owner{Tenant: tx.Tenant, CustomerID: tx.Buyer.CustomerID}
}

// wallets locks the wallets of the buyers, and opens those that are not there.
func wallets(ctx context.Context, st app.Stores, ins []RecordInput) ([]ledger.Book, error) {
	currency := make(map[ledger.Owner]string, len(ins))
	var owners []ledger.Owner
	for _, in := range ins {
		owner := ownerOf(in.Transaction)
		if _, seen := currency[owner]; owner.CustomerID == "" || seen {
			continue
		}
		currency[owner] = in.Transaction.Currency
		owners = append(owners, owner)
	}
	if len(owners) == 0 {
		return nil, nil
	}
	held, err := st.Ledger.Books(ctx, owners)
	if err != nil {
		return held, err
	}
	for _, book := range held {
		for _, id := range book.Asked {
			delete(currency, ledger.Owner{Tenant: book.Wallet.Tenant, CustomerID: id})
		}
	}
	if len(currency) == 0 {
		return held, nil
	}
	for owner, c := range currency {
		if err := st.Ledger.OpenWallet(ctx, owner.Tenant, owner.CustomerID, c); err != nil {
			return nil, err
		}
	}
	return st.Ledger.Books(ctx, owners)
}

// purse is a buyer's wallet with what its sales do to it.
type purse struct {
	book   ledger.Book
	change *ledger.Change
	first  bool // whether one of the sales is the first purchase
	at     time.Time
}

// moved reports whether there is anything to write.
func (p *purse) moved() bool { return p.first || len(p.change.Issued) > 0 || len(p.change.Grants) > 0 }

// purchase puts one sale into the change, and what its rulings gave into them.
func (p *purse) purchase(in RecordInput, rulings []checkout.Ruling) error {
	c, tx, now := p.change, in.Transaction, in.Transaction.CreatedAt
	if c.Wallet.FirstPurchaseAt == nil {
		p.first, c.Wallet.FirstPurchaseAt = true, &now
	}
	if p.at.IsZero() { // else an earlier sale of the batch released what there is
		if err := grants.Unlock(c, p.book.Lots, in.Settings.ClaimGate, p.book.Verified, now); err != nil {
			return err
		}
	}
	p.at = now
	for i := range rulings {
		var err error
		if rulings[i], err = grant(c, p.book.Verified, tx, rulings[i], in.Settings, now); err != nil {
			return err
		}
	}
	return credit(c, p.book.Verified, tx, in, now)
}

// command stores the commands that committed rulings ask for. They are carried
// out after the commit (core/app/actuators).
func (s *Service) command(ctx context.Context, st app.Stores, rulings []checkout.Ruling) error {
	var out []actuation.StoredCommand
	for _, r := range rulings {
		if r.State != checkout.Committed {
			continue
		}
		for _, c := range r.Plan.Commands() {
			c.ID, c.Tenant, c.Actuator, c.DecisionID, c.CommittedAt = s.IDs.Make(actuation.CommandPrefix), r.Tenant, r.Actuator, r.DecisionID, *r.DecidedAt
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return st.Commands.Add(ctx, out...)
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

// apply writes a change and tells of its lots.
func (s *Service) apply(ctx context.Context, st app.Stores, c *ledger.Change, now time.Time) error {
	if _, err := st.Ledger.Apply(ctx, c); err != nil {
		return err
	}
	return st.Events.Append(ctx, s.lotEvents(c, now)...)
}

// lotEvents are the news of a change's lots: the new ones and the released.
func (s *Service) lotEvents(c *ledger.Change, now time.Time) []event.Event {
	events := make([]event.Event, 0, len(c.Grants)+len(c.Issued))
	for _, lots := range [][]ledger.Grant{c.Grants, c.Issued} {
		for _, g := range lots {
			events = append(events, g.Event(s.IDs.Make(ids.Event), now, 0))
		}
	}
	return events
}

// tellDecisions writes the traces of what is decided, and has their events told.
func (s *Service) tellDecisions(ctx context.Context, st app.Stores, b *books) error {
	var traces []decision.Trace
	var decisions []decision.Decision
	for i, tx := range b.sales {
		if tx.TraceID == "" {
			continue
		}
		tr, taken, err := trace(tx.TraceID, tx, b.rulings[i], tx.CreatedAt)
		if err != nil {
			return err
		}
		traces, decisions = append(traces, tr), append(decisions, taken...)
		if len(taken) == 0 {
			continue // all are pending: they tell when they are made
		}
		e, err := s.decided(tx, tr, taken)
		if err != nil {
			return err
		}
		b.events = append(b.events, e)
	}
	return st.Decisions.SaveTraces(ctx, traces, decisions)
}

// decided is the news of a sale's decisions.
func (s *Service) decided(tx checkout.Transaction, tr decision.Trace, decisions []decision.Decision) (event.Event, error) {
	made := make([]map[string]any, 0, len(decisions))
	for _, d := range decisions {
		made = append(made, map[string]any{"decision_id": d.ID, "kind": d.Kind, "state": stateOf(d.State), "amount_minor": d.AmountMinor, "grant_id": orNull(d.GrantID)})
	}
	subject := tx.SessionID
	if subject == "" {
		subject = tx.Buyer.CustomerID
	}
	return s.event(tx.Tenant, "decision.made", subject, tr.ID, tr.At, map[string]any{
		"decision_trace_id": tr.ID, "session_id": orNull(tx.SessionID), "customer_id": orNull(tx.Buyer.CustomerID),
		"transaction_id": tx.ID, "currency": tx.Currency, "decisions": made,
	})
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
