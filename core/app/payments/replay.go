package payments

import (
	"context"
	"encoding/json"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

// Replay plans the snapshot of a payment's stored decision again with a, and
// returns the decision as it would be stored: the same bytes, where the same
// version plans. Errors: those of the actuator; INTERNAL where stored cannot
// be read.
func Replay(ctx context.Context, a actuation.Actuator, stored json.RawMessage) (json.RawMessage, error) {
	var d Decision
	if err := json.Unmarshal(stored, &d); err != nil {
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
	return json.Marshal(Decision{a.Manifest().Name, a.Manifest().Version, d.Snapshot, plans[0]})
}
