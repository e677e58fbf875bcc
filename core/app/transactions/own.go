package transactions

import (
	"context"
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

// Own is what merchants have of their own.
type Own interface {
	// InstalledFor lists what a merchant has, as it is served now.
	InstalledFor(merchantID string) []actuation.Installation
}

// Bought sums up what a customer bought in a currency before a transaction, and
// has the facts that a merchant's own actuator stored.
type Bought interface {
	StoredFacts(ctx context.Context, in actuation.Installation) (actuators.StoredFacts, error)
	Bought(ctx context.Context, t tenancy.Tenant, customerID, transactionID, currency string, before time.Time) (actuators.History, error)
}

// ownFacts are what a merchant's own actuator gets to know of a sale: all that
// the platform's do, and what the customer bought before.
type ownFacts struct {
	saleFacts
	History *actuators.History `json:"history,omitempty"` // absent for an unidentified sale
}

// askOwn adds the rulings that the merchant's own live actuators take. One that
// decides cashback or attribution takes the place of the platform's.
func (s *Service) askOwn(ctx context.Context, st app.Stores, tx checkout.Transaction, rulings []checkout.Ruling) ([]checkout.Ruling, error) {
	if s.Own == nil {
		return rulings, nil
	}
	for _, in := range s.Own.InstalledFor(tx.Tenant.MerchantID) {
		if in.Shadow {
			continue
		}
		for _, kind := range in.SaleKinds() {
			snapshot, err := s.ownSnapshot(ctx, st, in, kind, tx)
			if err != nil {
				return nil, err
			}
			rulings = with(rulings, checkout.Ruling{
				TransactionID: tx.ID, Tenant: tx.Tenant, Kind: kind, State: checkout.Pending, DecisionID: snapshot.ID,
				TraceID: s.IDs.Make(ids.Trace), CreatedAt: tx.CreatedAt, Snapshot: snapshot,
			})
		}
	}
	return rulings, nil
}

// with puts r into the place of the ruling of its kind, or behind the others.
func with(rulings []checkout.Ruling, r checkout.Ruling) []checkout.Ruling {
	for i := range rulings {
		if rulings[i].Kind == r.Kind {
			rulings[i] = r
			return rulings
		}
	}
	return append(rulings, r)
}

// OwnSnapshot is what a merchant's own actuator is asked about a sale that was
// recorded before: the history ends before it.
func (s *Service) OwnSnapshot(ctx context.Context, in actuation.Installation, kind actuation.Kind, tx checkout.Transaction) (actuation.Snapshot, error) {
	return s.ownSnapshot(ctx, s.UoW.Read(), in, kind, tx)
}

func (s *Service) ownSnapshot(ctx context.Context, st app.Stores, in actuation.Installation, kind actuation.Kind, tx checkout.Transaction) (actuation.Snapshot, error) {
	facts := ownFacts{saleFacts: factsOf(tx)}
	facts.Lines = lines(tx)
	var err error
	if facts.Offers, facts.TraceIDs, err = shown(ctx, st, tx); err != nil {
		return actuation.Snapshot{}, err
	}
	if tx.Buyer.CustomerID != "" {
		h, err := s.Bought.Bought(ctx, tx.Tenant, tx.Buyer.CustomerID, tx.ID, tx.Currency, tx.CreatedAt)
		if err != nil {
			return actuation.Snapshot{}, err
		}
		facts.History = &h
	}
	raw, err := json.Marshal(facts)
	if err != nil {
		return actuation.Snapshot{}, fault.Internal(err)
	}
	snapshot := s.snapshot(s.IDs.Make(ids.Decision), kind, tx)
	snapshot.Facts, snapshot.Settings = raw, in.Settings
	if len(in.Manifest.CommandKinds) > 0 {
		stored, err := s.Bought.StoredFacts(ctx, in)
		if err != nil {
			return actuation.Snapshot{}, err
		}
		snapshot.Stored, snapshot.StoredAt = stored.Facts, stored.At
	}
	takes, err := earns(ctx, st, tx)
	if err == nil && takes {
		snapshot.Allowance = in.Allowance(kind, tx.TotalMinor)
	}
	return snapshot, err
}
