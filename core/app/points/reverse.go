package points

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// Reversed is what became of the points that were moved for a reference.
type Reversed struct {
	Net     int64 // what had been moved in all; 0 where nothing was
	Moved   int64 // what the reversal moved: negative where points went
	EntryID string
}

// Reverse undoes what was moved for a reference, in the caller's transaction:
// points earned are taken as far as their own lots still hold them, points
// burned come back. Errors: NOT_FOUND (customer).
func (s *Service) Reverse(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID, referenceID, reason string, now time.Time) (Reversed, error) {
	net, err := st.Ledger.PointsFor(ctx, t, customerID, referenceID)
	if err != nil || net == 0 {
		return Reversed{}, err
	}
	a, err := st.Ledger.LockPoints(ctx, t, customerID)
	if err != nil {
		return Reversed{}, err
	}
	// Again, now that nobody else moves them.
	if net, err = st.Ledger.PointsFor(ctx, t, customerID, referenceID); err != nil || net == 0 {
		return Reversed{}, err
	}
	c := ledger.BeginPoints(a)
	if err := c.Expire(s.movement(now)); err != nil {
		return Reversed{}, err
	}
	m := s.movement(now)
	m.ReferenceID, m.Reason = referenceID, reason
	moved, err := c.Reverse(m, net, s.IDs.Make(lotID))
	if err != nil {
		return Reversed{}, err
	}
	out := Reversed{Net: net, Moved: moved}
	if moved != 0 {
		out.EntryID = m.EntryID
	}
	if len(c.Movements) == 0 {
		return out, nil
	}
	return out, s.write(ctx, st, c)
}
