package grants

import (
	"context"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
)

// Expire is one round of the sweep: it ends lots whose time is over, up to
// limit wallets, each in a transaction of its own, and returns how many lots
// it ended. What a lot held goes to breakage. A round that returns less than
// it could has nothing left to do. Errors of one wallet do not stop the
// others; the first is returned.
func (s *Service) Expire(ctx context.Context, limit int) (ended int, err error) {
	owners, err := s.UoW.Read().Ledger.Lapsing(ctx, s.Clock.Now(), limit)
	if err != nil {
		return 0, err
	}
	var first error
	for _, o := range owners {
		n, err := s.expire(ctx, o)
		if ended += n; err != nil && first == nil {
			first = err
		}
	}
	return ended, first
}

func (s *Service) expire(ctx context.Context, o ledger.Owner) (ended int, err error) {
	now := s.Clock.Now()
	err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		ended = 0
		book, err := st.Ledger.Book(ctx, o.Tenant, o.CustomerID)
		if err != nil {
			return err
		}
		c := ledger.Begin(book.Wallet)
		var events []event.Event
		for _, g := range book.Lots {
			if !g.Lapsed(now) {
				continue
			}
			head := ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: ledger.EntryExpiry, RefID: g.ID, At: now}
			if err := c.Expire(head, g); err != nil {
				return err
			}
			events = append(events, c.Grants[len(c.Grants)-1].Event(s.IDs.Make(ids.Event), now, g.RemainingMinor))
		}
		if len(events) == 0 {
			return nil // another sweeper was here
		}
		if _, err := st.Ledger.Apply(ctx, c); err != nil {
			return err
		}
		ended = len(events)
		return st.Events.Append(ctx, events...)
	})
	return ended, err
}
