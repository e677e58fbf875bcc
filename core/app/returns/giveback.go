package returns

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	core "github.com/feddi/feddi/core/returns"
	"github.com/feddi/feddi/core/tenancy"
)

// order says what is to go back of a payment, and why.
type order struct {
	kind        ledger.EntryKind // EntryVoid or EntryRefund
	amountMinor int64            // 0 for all that is left
	cause       string           // the voided transaction or the dispute; may be empty
	reason      string
	actor       string
	settings    tenancy.Settings
	now         time.Time
}

// giveBack gives part of a payment back: under the wallet's lock it reads the
// payment again, splits the amount in the reverse order of spending, and writes
// wallet, lots, contra entry, the record of it and the events. check, where not
// nil, judges the payment first.
// Errors: those of check, STATE_CONFLICT, REFUND_EXCEEDS_PAYMENT.
func (s *Service) giveBack(ctx context.Context, st app.Stores, p ledger.Payment, o order, check func(ledger.Payment) error) (Outcome, error) {
	book, err := st.Ledger.Book(ctx, p.Tenant, p.CustomerID)
	if err != nil {
		return Outcome{}, err
	}
	if p, err = st.Ledger.Payment(ctx, p.Tenant, p.ID); err != nil {
		return Outcome{}, err
	}
	if check != nil {
		if err := check(p); err != nil {
			return Outcome{}, err
		}
	}
	if err := core.Returnable(p); err != nil {
		return Outcome{}, err
	}
	if o.amountMinor == 0 {
		o.amountMinor = p.Paid().LeftMinor()
	}
	back, err := p.Paid().PlanBack(o.amountMinor)
	if err != nil {
		return Outcome{}, err
	}
	lots, beside, err := lotsOf(ctx, st, book, back)
	if err != nil {
		return Outcome{}, err
	}
	c := ledger.Begin(book.Wallet)
	head := ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: o.kind, Reverses: p.EntryID, At: o.now}
	r := core.Return{
		ID: s.IDs.Make(prefix(o.kind)), Tenant: p.Tenant, PaymentID: p.ID, Kind: o.kind, AmountMinor: o.amountMinor, Currency: p.Currency,
		EntryID: head.ID, CauseID: o.cause, ActorID: o.actor, Reason: o.reason, At: o.now,
	}
	head.RefID = r.ID
	given, err := c.Restore(head, back, lots, grace(o.settings), func() string { return s.IDs.Make(ids.Entry) }, beside...)
	if err != nil {
		return Outcome{}, err
	}
	r.ActualMinor, r.PromoMinor, r.ForfeitedMinor, r.Sources = given.ActualMinor, given.PromoMinor(), given.ForfeitedMinor(), given.Kept
	out := Outcome{Payment: core.After(p, o.kind, o.amountMinor), Return: r}
	after, err := st.Ledger.Apply(ctx, c)
	if err != nil {
		return Outcome{}, err
	}
	out.Balance = after.Balance(c.Lots(book.Lots), o.now)
	changed := slices.Clone(c.Grants)
	for _, b := range beside {
		changed = append(changed, b.Grants...)
		if _, err := st.Ledger.Apply(ctx, b.Change); err != nil {
			return Outcome{}, err
		}
	}
	if err := st.Returns.Save(ctx, out.Payment, r); err != nil {
		return Outcome{}, err
	}
	if err := s.forfeit(ctx, st, given, lots, o.now); err != nil {
		return Outcome{}, err
	}
	told, err := out.Return.Event(s.IDs.Make(ids.Event), out.Payment)
	if err != nil {
		return Outcome{}, err
	}
	return out, st.Events.Append(ctx, append([]event.Event{told}, s.events(o.now, changed, given, lots)...)...)
}

func prefix(kind ledger.EntryKind) string {
	if kind == ledger.EntryVoid {
		return ids.Void
	}
	return ids.Refund
}

// lotsOf are the lots that back names, as they are now, with the wallets beside
// the payer's that some belong to since a merge was undone.
func lotsOf(ctx context.Context, st app.Stores, book ledger.Book, back ledger.Back) ([]ledger.Grant, []ledger.Beside, error) {
	named := make([]string, 0, len(back.Sources))
	for _, s := range back.Sources {
		named = append(named, s.GrantID)
	}
	lots, err := st.Ledger.Lots(ctx, book.Wallet.Tenant, named)
	if err != nil {
		return nil, nil, err
	}
	var owners []ledger.Owner
	for _, g := range lots {
		owner := ledger.Owner{Tenant: g.Tenant, CustomerID: g.CustomerID}
		if owner != book.Owner() && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	if len(owners) == 0 {
		return lots, nil, nil
	}
	books, err := st.Ledger.Books(ctx, owners)
	if err != nil {
		return nil, nil, err
	}
	var beside []ledger.Beside
	for _, b := range books {
		beside = append(beside, ledger.Beside{Change: ledger.Begin(b.Wallet), Verified: b.Verified})
	}
	lots, err = st.Ledger.Lots(ctx, book.Wallet.Tenant, named) // as they are under the locks
	return lots, beside, err
}

// forfeit returns what lots clawed back since would have got to their budgets.
func (s *Service) forfeit(ctx context.Context, st app.Stores, given ledger.Given, lots []ledger.Grant, now time.Time) error {
	for _, f := range given.Forfeited {
		for _, g := range lots {
			if g.ID != f.GrantID {
				continue
			}
			if err := grants.Refund(ctx, st, s.IDs, g, f.AmountMinor, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// events tell of each lot that changed its state: one that was spent, or had
// expired, is released again.
func (s *Service) events(now time.Time, changed []ledger.Grant, given ledger.Given, before []ledger.Grant) []event.Event {
	var events []event.Event
	lapsed := map[string]bool{}
	for _, g := range given.Lapsed {
		lapsed[g.ID] = true
		ended := g
		ended.State, ended.RemainingMinor = ledger.Expired, 0
		events = append(events, ended.Event(s.IDs.Make(ids.Event), now, g.RemainingMinor))
	}
	was := make(map[string]ledger.GrantState, len(before))
	for _, g := range before {
		was[g.ID] = g.State
	}
	for _, g := range changed {
		if was[g.ID] != g.State || lapsed[g.ID] {
			events = append(events, g.Event(s.IDs.Make(ids.Event), now, 0))
		}
	}
	return events
}
