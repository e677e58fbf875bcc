package topup

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// ConfirmInput says that a deposit settled.
type ConfirmInput struct {
	TopupID   string
	Reference string // the provider's settlement reference; it credits once
}

// Confirm credits actual money and gives the reload bonus, in one transaction
// (rules 38 and 39). Confirming a top-up again with its own reference, under
// any key, credits nothing more and answers its state again (rule 40).
// Errors: NOT_FOUND, STATE_CONFLICT, DUPLICATE_REFERENCE, VERIFICATION_FAILED,
// SUBSYSTEM_DEGRADED.
func (s *Service) Confirm(ctx context.Context, call *app.Call, in ConfirmInput) (Outcome, error) {
	now := s.Clock.Now()
	set, err := s.settings(ctx, call.Tenant)
	if err != nil {
		return Outcome{}, err
	}
	top, err := s.UoW.Read().Ledger.Topup(ctx, call.Tenant, in.TopupID)
	if err != nil {
		return Outcome{}, err
	}
	if top.State == ledger.TopupPending {
		provider, err := s.provider(call, top.Provider)
		if err != nil {
			return Outcome{}, err
		}
		if err := provider.Settled(ctx, top, in.Reference); err != nil {
			return Outcome{}, err
		}
	}
	return s.confirm(ctx, call, set, in, now)
}

// confirm completes a proven top-up, or answers that it is so by the same
// reference. The lock on the top-up lets one of several who confirm at once
// credit it.
func (s *Service) confirm(ctx context.Context, call *app.Call, set tenancy.Settings, in ConfirmInput, now time.Time) (Outcome, error) {
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Outcome, error) {
		top, err := st.Ledger.TopupForUpdate(ctx, call.Tenant, in.TopupID)
		if err != nil {
			return Outcome{}, err
		}
		if top.State == ledger.TopupCompleted && top.Source == ledger.TopupByProvider {
			return s.again(ctx, st, top, in.Reference, now)
		}
		return s.complete(ctx, st, set, top, in.Reference, now)
	})
}

// again answers a completed top-up without a second credit.
func (s *Service) again(ctx context.Context, st app.Stores, top ledger.Topup, reference string, now time.Time) (Outcome, error) {
	if top.Reference != reference {
		return Outcome{}, fault.Field(fault.CodeStateConflict, "topup_id", "topup_pending",
			"the top-up is COMPLETED with another provider_settlement_reference")
	}
	b, err := st.Ledger.Balance(ctx, top.Tenant, top.CustomerID)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Topup: top, Balance: b.At(now)}
	return o, s.bonusOf(ctx, st, &o)
}

// bonusOf fills in the bonus grant of a top-up.
func (s *Service) bonusOf(ctx context.Context, st app.Stores, o *Outcome) error {
	if o.Topup.GrantID == "" {
		return nil
	}
	g, err := st.Ledger.Grant(ctx, o.Topup.Tenant, o.Topup.GrantID)
	o.Bonus = &g
	return err
}

func (s *Service) complete(ctx context.Context, st app.Stores, set tenancy.Settings, top ledger.Topup, reference string, now time.Time) (Outcome, error) {
	pending := top.AmountMinor
	top, err := top.Confirm(reference, now)
	if err != nil {
		return Outcome{}, err
	}
	tiers, err := st.Ledger.Tiers(ctx, top.Tenant, top.Currency)
	if err != nil {
		return Outcome{}, err
	}
	bonus := reward{source: ledger.SourceReloadBonus}
	if tier, ok := tiers.Earned(top.AmountMinor); ok {
		bonus.amountMinor, bonus.days = tier.BonusMinor, tier.ExpiryDays
	}
	return s.credit(ctx, st, set, top, pending, bonus, now)
}

// reward is what a deposit earns.
type reward struct {
	source      ledger.Source
	amountMinor int64
	days        int // until it expires; 0: as the merchant's settings say
}

// credit writes a COMPLETED top-up: wallet, entries, bonus, what the first
// top-up releases, and the events. pending is what the top-up counted among
// the pending ones.
func (s *Service) credit(ctx context.Context, st app.Stores, set tenancy.Settings, top ledger.Topup, pending int64, bonus reward, now time.Time) (Outcome, error) {
	book, err := st.Ledger.Book(ctx, top.Tenant, top.CustomerID)
	if err != nil {
		return Outcome{}, err
	}
	if err := sameCurrency(book.Wallet, top.Currency); err != nil {
		return Outcome{}, err
	}
	// A prepared one has had its room since.
	if err := book.Wallet.Room("quantity", top.AmountMinor-pending); err != nil {
		return Outcome{}, err
	}
	top.EntryID = s.IDs.Make(ids.Entry)
	c := ledger.Begin(book.Wallet)
	if err := c.Expect(-pending); err != nil {
		return Outcome{}, err
	}
	if err := c.Deposit(ledger.Head{ID: top.EntryID, Kind: ledger.EntryTopup, RefID: top.ID, At: now}, top.AmountMinor); err != nil {
		return Outcome{}, err
	}
	if err := grants.Unlock(c, book.Lots, set.ClaimGate, book.Verified, now); err != nil {
		return Outcome{}, err
	}
	o := Outcome{Topup: top}
	if bonus.amountMinor > 0 {
		g, err := grants.Add(c, book.Verified, s.grant(set, top, bonus, now))
		if err != nil {
			return Outcome{}, err
		}
		o.Bonus, o.Topup.GrantID, o.Topup.BonusMinor = &g, g.ID, g.AmountMinor
	}
	return s.write(ctx, st, c, book, o, now)
}

func (s *Service) grant(set tenancy.Settings, top ledger.Topup, bonus reward, now time.Time) grants.IssueInput {
	days := bonus.days
	if days == 0 {
		days = set.BonusExpiryDays
	}
	return grants.IssueInput{
		Tenant: top.Tenant, CustomerID: top.CustomerID, Source: bonus.source, AmountMinor: bonus.amountMinor,
		Currency: top.Currency, ExpiresAt: ledger.ExpiryAfter(now, days), OriginID: top.ID, Gate: set.ClaimGate, Now: now,
	}
}

func (s *Service) write(ctx context.Context, st app.Stores, c *ledger.Change, book ledger.Book, o Outcome, now time.Time) (Outcome, error) {
	// The top-up first: a reference that settled another one must stop all else.
	save := st.Ledger.SaveTopup
	if o.Topup.Source == ledger.TopupBySKU {
		save = st.Ledger.InsertTopup
	}
	if err := save(ctx, o.Topup); err != nil {
		return Outcome{}, err
	}
	after, err := st.Ledger.Apply(ctx, c)
	if err != nil {
		return Outcome{}, err
	}
	events := []event.Event{o.Topup.Event(s.IDs.Make(ids.Event), ledger.EventTopupCompleted, now)}
	for _, g := range slices.Concat(c.Grants, c.Issued) {
		events = append(events, g.Event(s.IDs.Make(ids.Event), now, 0))
	}
	o.Balance = after.Balance(c.Lots(book.Lots), now)
	return o, st.Events.Append(ctx, events...)
}
