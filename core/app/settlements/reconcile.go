package settlements

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/settlement"
)

// ReconcileInput is the partner's side of a period, of the place of the call.
type ReconcileInput struct {
	PeriodStart, PeriodEnd time.Time // end exclusive
	Currency               string
	Totals                 []settlement.Total // each item once
	Entries                []settlement.Entry // each reference once per item
}

// Reconcile compares the partner's totals with the ledger: a short run at once,
// a large one in the background (see Compare). Nothing is corrected by it.
// Errors: UNSUPPORTED_CURRENCY.
func (s *Service) Reconcile(ctx context.Context, call *app.Call, in ReconcileInput) (settlement.Run, error) {
	if err := s.currencyEnabled(ctx, call.Tenant, in.Currency); err != nil {
		return settlement.Run{}, err
	}
	now := s.Clock.Now()
	run := settlement.Run{
		ID: s.IDs.Make(ids.Run), Tenant: call.Tenant, BrandID: call.BrandID, BranchID: call.BranchID, Currency: in.Currency,
		PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, State: settlement.RunRunning, Claims: in.Totals, Entries: in.Entries, CreatedAt: now,
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (settlement.Run, error) {
		if run.Large() {
			return run, st.Settlement.InsertRun(ctx, run)
		}
		done, err := s.compare(ctx, st, run, now)
		if err != nil {
			return settlement.Run{}, err
		}
		if err := st.Settlement.InsertRun(ctx, done); err != nil {
			return settlement.Run{}, err
		}
		return done, st.Events.Append(ctx, done.CompletedEvent(s.IDs.Make(ids.Event), now))
	})
}

// compare makes the comparison from what is gathered. A ledger that is read day
// by day gives the same sums as one that is read whole, in bounded steps.
func (s *Service) compare(ctx context.Context, st app.Stores, run settlement.Run, now time.Time) (settlement.Run, error) {
	gathered, err := st.Settlement.GatheredAt(ctx)
	if err != nil {
		return run, err
	}
	ledgers := make(map[settlement.Item]settlement.Total, len(run.Claims))
	for _, claim := range run.Claims {
		total := settlement.Total{Item: claim.Item}
		for from := run.PeriodStart; from.Before(run.PeriodEnd); from = from.Add(settlement.AtOnce) {
			till := from.Add(settlement.AtOnce)
			if till.After(run.PeriodEnd) {
				till = run.PeriodEnd
			}
			part, err := st.Settlement.LedgerTotal(ctx, run, claim.Item, from, till)
			if err != nil {
				return run, err
			}
			total.AmountMinor, total.Count = total.AmountMinor+part.AmountMinor, total.Count+part.Count
		}
		ledgers[claim.Item] = total
	}
	var differences []settlement.Difference
	var count int64
	for _, item := range run.Listed {
		some, n, err := st.Settlement.DifferencesOf(ctx, run, item, settlement.MaxDifferences)
		if err != nil {
			return run, err
		}
		room := settlement.MaxDifferences - len(differences)
		differences, count = append(differences, some[:min(len(some), room)]...), count+n
	}
	complete := !gathered.Before(run.PeriodEnd.Add(settlement.Grace))
	return run.Compare(ledgers, differences, count, complete, now), nil
}

// Bounds of one round of the background.
const (
	comparePiece = 10
	compareLease = 5 * time.Minute
)

// Compare is one round of the background: it ends the runs that wait, each in a
// transaction of its own, and returns how many. A server that dies on the way
// leaves its runs to the next one when their leases end.
func (s *Service) Compare(ctx context.Context, _ int) (ended int, err error) {
	due, err := s.UoW.Read().Settlement.DueRuns(ctx, s.Clock.Now(), compareLease, comparePiece)
	if err != nil {
		return 0, err
	}
	var first error
	for _, run := range due {
		if err := s.end(ctx, run); err != nil && first == nil {
			first = err
		} else if err == nil {
			ended++
		}
	}
	return ended, first
}

func (s *Service) end(ctx context.Context, run settlement.Run) error {
	return s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
		if err := st.Settlement.Unhurried(ctx); err != nil {
			return err
		}
		now := s.Clock.Now()
		done, err := s.compare(ctx, st, run, now)
		if err != nil {
			return err
		}
		if saved, err := st.Settlement.SaveRun(ctx, done); err != nil || !saved {
			return err
		}
		return st.Events.Append(ctx, done.CompletedEvent(s.IDs.Make(ids.Event), now))
	})
}

// Reconciliation reads a run. One of another place than the credential's is not
// found. Errors: NOT_FOUND.
func (s *Service) Reconciliation(ctx context.Context, call *app.Call, id string) (settlement.Run, error) {
	run, err := s.UoW.Read().Settlement.Run(ctx, call.Tenant, id)
	if err != nil {
		return settlement.Run{}, err
	}
	a := call.Actor
	if a.BrandID != "" && run.BrandID != a.BrandID || a.BranchID != "" && run.BranchID != a.BranchID {
		return settlement.Run{}, fault.NotFound("reconciliation")
	}
	return run, nil
}
