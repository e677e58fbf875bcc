package app

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/fault"
)

// UnitOfWork runs work against stores.
type UnitOfWork interface {
	// Do runs fn in one transaction: an error from fn undoes everything. The
	// stores are bound to the transaction and must not outlive fn. Serialisation
	// failures and deadlocks are retried a few times, so fn may run more than
	// once and must have no effect outside its stores.
	Do(ctx context.Context, fn func(ctx context.Context, s Stores) error) error
	// Read gives stores outside a transaction: each call sees what is committed.
	Read() Stores
}

// Mutate runs fn as the idempotent mutation that call asks for: the claim of
// the key, everything fn writes, and the stored outcome commit together. A 402
// returned by fn is an outcome too: what fn wrote (its decision and event) is
// kept and the decline is pinned. Any other error undoes everything and pins
// nothing. A concurrent call with the same key gives its outcome as *Replay.
func Mutate[R any](ctx context.Context, u UnitOfWork, now time.Time, call *Call, fn func(ctx context.Context, s Stores) (R, error)) (R, error) {
	var result R
	var declined *fault.Error
	err := u.Do(ctx, func(ctx context.Context, s Stores) error {
		declined = nil
		if call.Pin != nil {
			found, err := s.Idempotency.Claim(ctx, call.Pin.Record(now), now)
			if err != nil {
				return err
			}
			if found != nil {
				return call.Pin.Check(*found)
			}
		}
		var err error
		result, err = fn(ctx, s)
		var e *fault.Error
		if errors.As(err, &e) && e.Code == fault.CodeInsufficientFunds {
			declined, err = e, nil
		}
		if err != nil || call.Pin == nil {
			return err
		}
		return settle(ctx, s, call.Pin, result, declined)
	})
	if err != nil {
		return result, err
	}
	if declined != nil {
		return result, declined
	}
	return result, nil
}

func settle(ctx context.Context, s Stores, p *Pin, result any, declined *fault.Error) error {
	if declined != nil {
		result = nil
	}
	outcome, err := p.Encode(result, declined)
	if err != nil {
		return err
	}
	return s.Idempotency.Settle(ctx, p.Scope, outcome)
}
