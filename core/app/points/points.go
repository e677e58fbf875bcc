// Package points earns, burns, adjusts and expires customers' points.
package points

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of points.
type Service struct {
	UoW       app.UnitOfWork
	Clock     clock.Clock
	IDs       *ids.Source
	Directory tenancy.Directory
}

// The prefixes of the ids of lots and movements.
const (
	lotID      = "plt"
	movementID = "pmv"
)

// Get reads a customer's points as they stand now. Errors: NOT_FOUND.
func (s *Service) Get(ctx context.Context, call *app.Call, customerID string) (ledger.PointsAccount, error) {
	a, err := s.UoW.Read().Ledger.PointsOf(ctx, call.Tenant, customerID)
	return a.At(s.Clock.Now()), err
}

// MoveInput is a movement asked for.
type MoveInput struct {
	CustomerID  string
	Type        ledger.PointsMove // earn, burn, adjust
	Points      int64             // positive; negative only to adjust downwards
	ReferenceID string
	ExpiresAt   *time.Time // of what is earned; nil for the merchant's rule
	Reason      string
}

// Validate checks what spans several fields.
func (in MoveInput) Validate(now time.Time) error {
	switch {
	case in.Points == 0 || in.Points < 0 && in.Type != ledger.PointsAdjust:
		return fault.Field(fault.CodeValidationFailed, "points", "sign", "points must be positive unless type is adjust")
	case in.ExpiresAt != nil && (in.Type == ledger.PointsBurn || in.Points < 0):
		return fault.Field(fault.CodeValidationFailed, "expires_at", "earned_only", "only points that are given expire; leave expires_at out")
	case in.ExpiresAt != nil && !in.ExpiresAt.After(now):
		return fault.Field(fault.CodeValidationFailed, "expires_at", "future", "give an instant in the future")
	}
	return nil
}

// Move earns, burns or adjusts points: lots, account, journal and event in one
// transaction. Lots are burned in order of expiry; what lapsed is taken out
// first. Errors: NOT_FOUND (customer), OPERATOR_REQUIRED to adjust,
// IDENTITY_PROBATIONARY where a customer without a proven phone would burn,
// AMOUNT_OUT_OF_RANGE where the balance is short, VALIDATION_FAILED.
func (s *Service) Move(ctx context.Context, call *app.Call, in MoveInput) (ledger.PointsMovement, error) {
	now := s.Clock.Now()
	if err := in.Validate(now); err != nil {
		return ledger.PointsMovement{}, err
	}
	if in.Type == ledger.PointsAdjust && !call.Actor.Operator {
		return ledger.PointsMovement{}, fault.New(fault.CodeOperatorRequired, "adjusting points needs an API key with operator authority")
	}
	merchant, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return ledger.PointsMovement{}, err
	}
	if days := merchant.Settings.PointsExpiryDays; in.ExpiresAt == nil && days > 0 {
		expires := now.AddDate(0, 0, days)
		in.ExpiresAt = &expires
	}
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (ledger.PointsMovement, error) {
		a, err := st.Ledger.LockPoints(ctx, call.Tenant, in.CustomerID)
		if err != nil {
			return ledger.PointsMovement{}, err
		}
		if in.Type == ledger.PointsBurn && !a.Verified {
			return ledger.PointsMovement{}, fault.Field(fault.CodeIdentityProbationary, "customer_id", "verified",
				"the customer's phone is not proven yet; points can be burned once it is")
		}
		c := ledger.BeginPoints(a)
		if err := c.Expire(s.movement(now)); err != nil {
			return ledger.PointsMovement{}, err
		}
		if err := s.put(c, in, now); err != nil {
			return ledger.PointsMovement{}, err
		}
		return c.Movements[len(c.Movements)-1], s.write(ctx, st, c)
	})
}

// movement is a movement with its ids.
func (s *Service) movement(now time.Time) ledger.PointsMovement {
	return ledger.PointsMovement{ID: s.IDs.Make(movementID), EntryID: s.IDs.Make(ids.Entry), At: now}
}

// put puts the movement asked for into a change.
func (s *Service) put(c *ledger.PointsChange, in MoveInput, now time.Time) error {
	m := s.movement(now)
	m.Type, m.Points, m.ReferenceID, m.Reason = in.Type, in.Points, in.ReferenceID, in.Reason
	if in.Type == ledger.PointsBurn {
		m.Points = -in.Points
	}
	if m.Points < 0 {
		return c.Burn(m)
	}
	return c.Earn(m, s.IDs.Make(lotID), in.ExpiresAt)
}

// write applies a change and tells of each movement.
func (s *Service) write(ctx context.Context, st app.Stores, c *ledger.PointsChange) error {
	if err := st.Ledger.ApplyPoints(ctx, c); err != nil {
		return err
	}
	for _, m := range c.Movements {
		data, err := json.Marshal(map[string]any{
			"movement_id": m.ID, "customer_id": m.CustomerID, "type": string(m.Type), "points": m.Points, "balance_points": m.Balance,
			"reference_id": orNull(m.ReferenceID), "entry_id": m.EntryID,
		})
		if err != nil {
			return fault.Internal(err)
		}
		e := event.Event{ID: s.IDs.Make(ids.Event), Tenant: c.Account.Tenant, Type: "points.moved", Subject: m.CustomerID, At: m.At, Data: data}
		if err := st.Events.Append(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// orNull shows an absent id as null.
func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// Earned are points that a sale gave.
type Earned struct {
	Tenant      tenancy.Tenant
	CustomerID  string
	Points      int64 // positive
	ReferenceID string
	ExpiresAt   *time.Time // nil for never
}

// Earn gives points in the caller's transaction, as Move does: lot, account,
// journal and event. It takes the account's lock, after wallets and budgets.
// Errors: NOT_FOUND (customer).
func Earn(ctx context.Context, st app.Stores, source *ids.Source, in Earned, now time.Time) error {
	a, err := st.Ledger.LockPoints(ctx, in.Tenant, in.CustomerID)
	if err != nil {
		return err
	}
	s := &Service{IDs: source}
	c := ledger.BeginPoints(a)
	if err := c.Expire(s.movement(now)); err != nil {
		return err
	}
	if err := s.put(c, MoveInput{Type: ledger.PointsEarn, Points: in.Points, ReferenceID: in.ReferenceID, ExpiresAt: in.ExpiresAt}, now); err != nil {
		return err
	}
	return s.write(ctx, st, c)
}

// Expire takes lapsed points out of up to limit accounts, each in a transaction
// of its own, and returns how many it dealt with. Errors of one account do not
// stop the others; the first is returned. A job runs it; several servers may.
func (s *Service) Expire(ctx context.Context, limit int) (int, error) {
	now := s.Clock.Now()
	lapsing, err := s.UoW.Read().Ledger.LapsingPoints(ctx, now, limit)
	if err != nil {
		return 0, err
	}
	var first error
	for _, o := range lapsing {
		err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
			a, err := st.Ledger.LockPoints(ctx, o.Tenant, o.CustomerID)
			if err != nil {
				return err
			}
			c := ledger.BeginPoints(a)
			if err := c.Expire(s.movement(now)); err != nil || len(c.Movements) == 0 {
				return err // another server was faster
			}
			return s.write(ctx, st, c)
		})
		if err != nil && first == nil {
			first = err
		}
	}
	return len(lapsing), first
}
