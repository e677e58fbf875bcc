package settlements

import (
	"context"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/settlement"
)

// Bounds of one round of the background.
const (
	gatherPieces = 200
	// gatherPiece is how many entries one transaction takes: few, because readers of
	// the event log wait for the oldest transaction that writes.
	gatherPiece = 1000
)

// How long each piece lets payments go first that queue: a line is for a report, and
// whoever pays waits for an answer. Where lines are missing that are older than
// overdue, the wait is short, so that they come in even while a server has no rest.
const (
	turn, shortTurn = 15 * time.Second, time.Second
	overdue         = 5 * time.Minute
)

// Gather is one round of the background: it folds what was written since the
// last round into the batches of the merchants' days, and makes those ready
// whose day is over and gathered. Returns how many lines it gathered; a round
// is bounded, and limit of them says that there is more.
func (s *Service) Gather(ctx context.Context, limit int) (int, error) {
	at, err := s.UoW.Read().Settlement.GatheredAt(ctx)
	if err != nil {
		return 0, err
	}
	lines := 0
	for range gatherPieces {
		s.giveWay(ctx, at)
		n, gathered, err := s.gather(ctx, limit)
		lines += n
		if err != nil || !gathered.Behind {
			return min(lines, limit-1), err
		}
		at = gathered.At
	}
	return limit, nil
}

// giveWay lets payments go first, before a piece of what was written since a time.
func (s *Service) giveWay(ctx context.Context, since time.Time) {
	switch {
	case s.GiveWay == nil:
	case s.Clock.Now().Sub(since) < overdue:
		s.GiveWay(ctx, turn)
	default:
		s.GiveWay(ctx, shortTurn)
	}
}

// gather is one piece, in a transaction that nobody else gathers in.
func (s *Service) gather(ctx context.Context, limit int) (lines int, gathered settlement.Gathered, err error) {
	err = s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		now := s.Clock.Now()
		var fresh []settlement.Fresh
		if fresh, gathered, err = st.Settlement.Fresh(ctx, now, gatherPiece); err != nil {
			return err
		}
		if err := s.place(ctx, st, fresh, now); err != nil {
			return err
		}
		lines = len(fresh)
		if gathered.Behind {
			return nil
		}
		closed, err := s.ready(ctx, st, gathered.At.Add(-settlement.Grace), now, limit)
		gathered.Behind = closed == limit
		return err
	})
	return lines, gathered, err
}

// place puts fresh lines into the batches of their days. A line whose batch is
// ready already, because it was still being written long after its day, goes
// into today's: what is ready never changes.
func (s *Service) place(ctx context.Context, st app.Stores, fresh []settlement.Fresh, now time.Time) error {
	if len(fresh) == 0 {
		return nil
	}
	zones := zones{}
	batchOf := map[string][]settlement.Fresh{}
	late, err := s.spread(ctx, st, fresh, batchOf, now, func(f settlement.Fresh) (start, end time.Time) {
		return settlement.Day(f.At, zones.of(f.Zone))
	})
	if err != nil {
		return err
	}
	if len(late) > 0 {
		late, err = s.spread(ctx, st, late, batchOf, now, func(f settlement.Fresh) (start, end time.Time) {
			return settlement.Day(now, zones.of(f.Zone))
		})
		if err != nil {
			return err
		}
		if len(late) > 0 { // today's batch cannot be ready, unless a clock went back by a day
			return fmt.Errorf("entry %s of tenant %d finds no open batch", late[0].EntryID, late[0].Tenant.No)
		}
	}
	return st.Settlement.AddLines(ctx, batchOf)
}

// spread puts lines into the batches of the periods that period names, and
// returns those whose batch takes no more.
func (s *Service) spread(ctx context.Context, st app.Stores, lines []settlement.Fresh, batchOf map[string][]settlement.Fresh, now time.Time,
	period func(settlement.Fresh) (start, end time.Time),
) (late []settlement.Fresh, err error) {
	slots := make([]settlement.Slot, len(lines))
	known := map[settlement.Slot]bool{}
	var wanted []settlement.Batch
	for i, f := range lines {
		start, end := period(f)
		slots[i] = settlement.Slot{TenantNo: f.Tenant.No, BrandID: f.BrandID, Currency: f.Currency, PeriodStart: start}
		if !known[slots[i]] {
			known[slots[i]] = true
			wanted = append(wanted, settlement.Batch{
				ID: s.IDs.Make(ids.Settlement), Tenant: f.Tenant, BrandID: f.BrandID, Currency: f.Currency,
				PeriodStart: start, PeriodEnd: end, CreatedAt: now,
			})
		}
	}
	batches, err := st.Settlement.OpenBatches(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for i, f := range lines {
		b := batches[slots[i]]
		if b.State != settlement.BatchOpen {
			late = append(late, f)
			continue
		}
		batchOf[b.ID] = append(batchOf[b.ID], f)
	}
	return late, nil
}

// ready closes batches and tells of each, once.
func (s *Service) ready(ctx context.Context, st app.Stores, endedBy, now time.Time, limit int) (int, error) {
	closed, err := st.Settlement.CloseDue(ctx, endedBy, now, limit)
	if err != nil {
		return 0, err
	}
	events := make([]event.Event, 0, len(closed))
	for _, b := range closed {
		events = append(events, b.ReadyEvent(s.IDs.Make(ids.Event), now))
	}
	return len(closed), st.Events.Append(ctx, events...)
}

// zones are time zones by name, each loaded once.
type zones map[string]*time.Location

// of is the zone of a name; UTC for one that is not known.
func (z zones) of(name string) *time.Location {
	if zone := z[name]; zone != nil {
		return zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		zone = time.UTC
	}
	z[name] = zone
	return zone
}
