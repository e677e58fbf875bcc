package payments

import (
	"context"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/actuation/record"
	"github.com/feddi/feddi/core/fault"
)

// Replay plans the snapshot of a payment's stored decision again with a, and
// returns the decision as it would be stored, in the form of stored: the same
// bytes, where the same version plans. Errors: those of the actuator; INTERNAL
// where stored cannot be read.
func Replay(ctx context.Context, a actuation.Actuator, stored []byte) ([]byte, error) {
	d, err := record.Read(stored)
	if err != nil {
		return nil, fault.Internal(err)
	}
	plans, err := a.PlanBatch(ctx, []actuation.Snapshot{d.Snapshot})
	if err != nil {
		return nil, err
	}
	if len(plans) != 1 {
		return nil, actuation.Unavailable(a.Manifest().Name, nil)
	}
	if err := actuation.Validate(a.Manifest(), d.Snapshot, plans[0]); err != nil {
		return nil, err
	}
	d.Actuator, d.Version, d.Plan = a.Manifest().Name, a.Manifest().Version, plans[0]
	return d.Like(stored)
}
