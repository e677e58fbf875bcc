package privacy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/ledger/handover"
	"github.com/feddi/feddi/core/privacy"
)

// RequestErasure erases who a person is, in one transaction, by operator
// authority: from the answer on nothing leads to them and their phone may enrol
// anew. What the wallet holds is forfeited, where in says so. What partners told
// of them goes in the background; customer.erased tells when that is done.
// Errors: OPERATOR_REQUIRED, NOT_FOUND, STATE_CONFLICT (a wallet that holds
// something; a payment, an applied offer or a top-up under way).
func (s *Service) RequestErasure(ctx context.Context, call *app.Call, in Input) (View, error) {
	if !call.Actor.Operator {
		return View{}, fault.New(fault.CodeOperatorRequired, "erasing a customer needs an API key with operator authority")
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (View, error) {
		c, err := person(ctx, st, call.Tenant, in.CustomerID)
		if err != nil {
			return View{}, err
		}
		r := s.request(call.Tenant, c.ID, privacy.Erasure, in.Reason, now)
		everybody, err := hold(ctx, st, r)
		if err != nil {
			return View{}, err
		}
		if _, err = person(ctx, st, call.Tenant, c.ID); err != nil { // again, under the lock
			return View{}, err
		}
		if err := s.forfeit(ctx, st, &r, in.Forfeit, now); err != nil {
			return View{}, err
		}
		counts, err := st.Privacy.Anonymise(ctx, r.Tenant, everybody, now)
		if err != nil {
			return View{}, err
		}
		for _, n := range counts {
			r.Count(n.Record, n.N)
		}
		return s.view(r, now), st.Privacy.AddRequest(ctx, r)
	})
}

// hold locks the customer and those who were merged into it, with their open
// sessions, and checks that nothing is under way.
func hold(ctx context.Context, st app.Stores, r privacy.Request) ([]string, error) {
	everybody, err := st.Privacy.Family(ctx, r.Tenant, r.CustomerID)
	if err != nil {
		return nil, err
	}
	if err := st.Merging.HoldSessions(ctx, r.Tenant, everybody...); err != nil {
		return nil, err
	}
	if err := st.Privacy.Hold(ctx, r.Tenant, everybody); err != nil {
		return nil, err
	}
	blockers, err := st.Merging.Blockers(ctx, r.Tenant, r.CustomerID, r.RequestedAt)
	if err != nil {
		return nil, err
	}
	return everybody, blockers.Check("customer_id")
}

// forfeit gives what the wallet holds to breakage.
func (s *Service) forfeit(ctx context.Context, st app.Stores, r *privacy.Request, agreed bool, now time.Time) error {
	book, err := st.Ledger.Book(ctx, r.Tenant, r.CustomerID)
	if err != nil {
		return err
	}
	points, err := st.Ledger.LockPoints(ctx, r.Tenant, r.CustomerID)
	if err != nil {
		return err
	}
	b := book.Wallet.Balance(book.Lots, now)
	if !agreed && (b.ActualMinor > 0 || len(b.Grants) > 0 || points.At(now).Balance > 0) {
		return fault.Field(fault.CodeStateConflict, "forfeit_balance", "forfeit",
			"the wallet still holds money, credit or points; they are lost with the erasure: pay them out first, or send forfeit_balance true")
	}
	c, err := handover.Forfeit(ledger.Head{ID: s.IDs.Make(ids.Entry), Kind: handover.EntryForfeit, RefID: r.ID, At: now}, book.Wallet, book.Lots)
	if err != nil {
		return err
	}
	if len(c.Entries) > 0 {
		if _, err := st.Ledger.Apply(ctx, c); err != nil {
			return err
		}
	}
	var events []event.Event
	for _, g := range c.Grants {
		before := remaining(book.Lots, g.ID)
		events = append(events, g.Event(s.IDs.Make(ids.Event), now, before))
	}
	moved, err := s.forfeitPoints(ctx, st, points, now)
	if err != nil {
		return err
	}
	r.Count("grants_forfeited", int64(len(c.Grants)))
	if events = append(events, moved...); len(events) == 0 {
		return nil
	}
	return st.Events.Append(ctx, events...)
}

func remaining(lots []ledger.Grant, id string) int64 {
	for _, g := range lots {
		if g.ID == id {
			return g.RemainingMinor
		}
	}
	return 0
}

// forfeitPoints ends every lot of points as if its time were over.
func (s *Service) forfeitPoints(ctx context.Context, st app.Stores, a ledger.PointsAccount, now time.Time) ([]event.Event, error) {
	for i := range a.Lots {
		a.Lots[i].ExpiresAt = &now
	}
	c := ledger.BeginPoints(a)
	if err := c.Expire(ledger.PointsMovement{ID: s.IDs.Make("pmv"), EntryID: s.IDs.Make(ids.Entry), At: now}); err != nil || len(c.Movements) == 0 {
		return nil, err
	}
	m := c.Movements[0]
	data, _ := json.Marshal(map[string]any{ // ids and numbers: cannot fail
		"customer_id": m.CustomerID, "movement_id": m.ID, "type": string(m.Type), "points": m.Points, "balance_points": m.Balance,
	})
	return []event.Event{{ID: s.IDs.Make(ids.Event), Tenant: a.Tenant, Type: "points.moved", Subject: m.CustomerID, At: now, Data: data}},
		st.Ledger.ApplyPoints(ctx, c)
}

// pieces is how many records of a kind are erased at once.
const pieces = 500

// erase erases what is left of a person, piece by piece, each in a transaction
// of its own, and tells when it is done. Done twice it finds nothing more.
func (s *Service) erase(ctx context.Context, r privacy.Request) error {
	everybody, err := s.UoW.Read().Privacy.Family(ctx, r.Tenant, r.CustomerID)
	if err != nil {
		return err
	}
	for more := true; more; {
		counts, err := s.UoW.Read().Privacy.EraseSome(ctx, r.Tenant, everybody, pieces)
		if err != nil {
			return err
		}
		more = false
		for _, n := range counts {
			r.Count(n.Record, n.N)
			more = more || n.N >= pieces
		}
	}
	now := s.Clock.Now()
	return s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		ours, err := st.Privacy.SaveRequest(ctx, r.End(privacy.Completed, now))
		if err != nil || !ours {
			return err
		}
		return st.Events.Append(ctx, r.Erased(s.IDs.Make(ids.Event), now))
	})
}
