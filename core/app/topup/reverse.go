package topup

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
)

// ReverseInput says which top-up is undone and why.
type ReverseInput struct {
	TopupID string
	Reason  string // one of the contract's
	Note    string // in words, for the record; may be empty
	// AllowPartial takes back what is left where part of the deposit is spent.
	AllowPartial bool
}

// Reverse undoes a COMPLETED top-up whose money was never collected: the
// deposit leaves actual money by a contra entry and its bonus is clawed back, as
// far as it is not spent. Where part of the deposit is spent nothing happens,
// unless AllowPartial; the wallet never goes below zero, and what could not be
// taken back is the difference to what was credited. A refund of what the bonus
// paid is forfeited from then on.
// Errors: NOT_FOUND; STATE_CONFLICT where the top-up is not COMPLETED, or part
// of it is spent.
func (s *Service) Reverse(ctx context.Context, call *app.Call, in ReverseInput) (Outcome, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Outcome, error) {
		top, err := st.Ledger.TopupForUpdate(ctx, call.Tenant, in.TopupID)
		if err != nil {
			return Outcome{}, err
		}
		book, err := st.Ledger.Book(ctx, top.Tenant, top.CustomerID)
		if err != nil {
			return Outcome{}, err
		}
		if top, err = top.Reverse(book.Wallet.ActualMinor, in.AllowPartial, now); err != nil {
			return Outcome{}, err
		}
		top.ReversalReason, top.ReversalNote = in.Reason, in.Note
		return s.reverse(ctx, st, top, book, now)
	})
}

// reverse writes a REVERSED top-up.
func (s *Service) reverse(ctx context.Context, st app.Stores, top ledger.Topup, book ledger.Book, now time.Time) (Outcome, error) {
	c := ledger.Begin(book.Wallet)
	if top.ReversedActualMinor > 0 {
		top.ReversalEntryID = s.IDs.Make(ids.Entry)
		head := ledger.Head{ID: top.ReversalEntryID, Kind: ledger.EntryTopupReversal, RefID: top.ID, Reverses: top.EntryID, At: now}
		if err := c.Withdraw(head, top.ReversedActualMinor); err != nil {
			return Outcome{}, err
		}
	}
	o := Outcome{Topup: top}
	if top.GrantID != "" {
		if err := s.unbonus(ctx, st, c, &o, now); err != nil {
			return Outcome{}, err
		}
	}
	after, err := st.Ledger.Apply(ctx, c)
	if err != nil {
		return Outcome{}, err
	}
	if err := st.Ledger.SaveTopup(ctx, o.Topup); err != nil {
		return Outcome{}, err
	}
	events := []event.Event{o.Topup.Event(s.IDs.Make(ids.Event), ledger.EventTopupReversed, now)}
	for _, g := range c.Grants {
		events = append(events, g.Event(s.IDs.Make(ids.Event), now, o.Topup.ReversedBonusMinor))
	}
	o.Balance = after.Balance(c.Lots(book.Lots), now)
	return o, st.Events.Append(ctx, events...)
}

// unbonus puts the end of the bonus into the change.
func (s *Service) unbonus(ctx context.Context, st app.Stores, c *ledger.Change, o *Outcome, now time.Time) error {
	top := &o.Topup
	g, err := st.Ledger.Grant(ctx, top.Tenant, top.GrantID)
	if err != nil {
		return err
	}
	gave, err := st.Ledger.EntryOfGrant(ctx, top.Tenant, g.ID)
	if err != nil {
		return err
	}
	head := ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: ledger.EntryTopupReversal, RefID: top.ID, Reverses: gave, At: now}
	if top.ReversedBonusMinor, err = c.Annul(head, g); err != nil {
		return err
	}
	if len(c.Grants) > 0 {
		g = c.Grants[0]
	}
	o.Bonus = &g
	return grants.Refund(ctx, st, s.IDs, g, top.ReversedBonusMinor, now)
}
