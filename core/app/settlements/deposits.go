package settlements

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/paging"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/settlement"
)

// SettleInput names the top-ups that a transfer brought to the bank.
type SettleInput struct {
	BankReference string
	Currency      string
	SettledAt     time.Time
	Lines         []SettleLine // each top-up once
}

// SettleLine is one top-up with the provider's fee in minor units.
type SettleLine struct {
	TopupID  string
	FeeMinor int64
}

// Settle marks top-ups settled, all of them or none.
// Errors: SCOPE_INSUFFICIENT, UNSUPPORTED_CURRENCY, NOT_FOUND, STATE_CONFLICT,
// CURRENCY_MISMATCH, AMOUNT_OUT_OF_RANGE.
func (s *Service) Settle(ctx context.Context, call *app.Call, in SettleInput) ([]settlement.Deposit, error) {
	if err := wholeMerchant(call); err != nil {
		return nil, err
	}
	if err := s.currencyEnabled(ctx, call.Tenant, in.Currency); err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	named := make([]string, 0, len(in.Lines))
	for _, l := range in.Lines {
		named = append(named, l.TopupID)
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) ([]settlement.Deposit, error) {
		locked, err := st.Settlement.LockDeposits(ctx, call.Tenant, named)
		if err != nil {
			return nil, err
		}
		all, changed, err := settle(byKey(locked, func(d settlement.Deposit) string { return d.TopupID }), in)
		if err != nil {
			return nil, err
		}
		if err := st.Settlement.MarkDeposits(ctx, call.Tenant, changed, now); err != nil {
			return nil, err
		}
		events := make([]event.Event, 0, len(changed))
		for _, d := range changed {
			events = append(events, d.SettledEvent(s.IDs.Make(ids.Event), now))
		}
		return all, st.Events.Append(ctx, events...)
	})
}

// settle judges every line: all of the deposits in the order of the lines, and
// those that change. Existence comes before any state.
func settle(found map[string]settlement.Deposit, in SettleInput) (all, changed []settlement.Deposit, err error) {
	for _, l := range in.Lines {
		if _, ok := found[l.TopupID]; !ok {
			return nil, nil, fault.NotFound("topup").With("lines.topup_id", "exists", "there is no top-up "+l.TopupID)
		}
	}
	for _, l := range in.Lines {
		d, news, err := found[l.TopupID].Settle(settlement.Banked{
			FeeMinor: l.FeeMinor, BankReference: in.BankReference, Currency: in.Currency, SettledAt: in.SettledAt,
		})
		if err != nil {
			return nil, nil, err
		}
		all = append(all, d)
		if news {
			changed = append(changed, d)
		}
	}
	return all, changed, nil
}

// DepositsInput narrows a list; empty members do not.
type DepositsInput struct {
	Stage                          settlement.Progress
	CompletedFrom, CompletedBefore *time.Time
	Limit                          int // 1 to 200; 0 for 50
	Cursor                         string
}

// DepositsPage is a page of credited top-ups, latest completed first.
type DepositsPage struct {
	Deposits []settlement.Deposit
	Next     string // empty on the last page
}

const depositsList = "topup_settlements"

// Deposits lists how far credited top-ups are on their way to the bank.
// Errors: SCOPE_INSUFFICIENT, CURSOR_INVALID.
func (s *Service) Deposits(ctx context.Context, call *app.Call, in DepositsInput) (DepositsPage, error) {
	if err := wholeMerchant(call); err != nil {
		return DepositsPage{}, err
	}
	after, err := paging.Open(depositsList, in.Cursor)
	if err != nil {
		return DepositsPage{}, err
	}
	size := paging.Size(in.Limit)
	rows, err := s.UoW.Read().Settlement.ListDeposits(ctx, call.Tenant, settlement.DepositFilter{
		Stage: in.Stage, CompletedFrom: in.CompletedFrom, CompletedTill: in.CompletedBefore,
		After: settlement.Mark(after), Limit: size + 1,
	})
	if err != nil {
		return DepositsPage{}, err
	}
	var p DepositsPage
	p.Deposits, p.Next = paging.Cut(rows, size, depositsList, func(d settlement.Deposit) paging.Mark {
		return paging.Mark{At: d.CompletedAt, ID: d.TopupID}
	})
	return p, nil
}
