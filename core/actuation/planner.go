package actuation

import (
	"context"
	"slices"
	"sync"

	"github.com/feddi/feddi/core/fault"
)

// Planner asks actuators for plans and proves each before anyone sees it. It
// holds no state of its own and is safe for concurrent use.
type Planner struct {
	Registry Registry
	// Rejected hears of every plan that broke a rule, for the operator's event;
	// nil where nobody listens. It is called on the planning goroutine and must
	// not block.
	Rejected func(*Rejected)
}

// Outcome is the proven answer to one snapshot.
type Outcome struct {
	// Plan may be committed as it is where Err is nil; it has effects or a
	// refusal, never both. It is the zero value otherwise.
	Plan Plan
	// Actuator is who planned; store its name and version with the plan.
	Actuator Manifest
	// Err: ACTUATOR_UNAVAILABLE (no actuator, it is down, it failed, or its plan
	// broke a rule) or DEADLINE_EXCEEDED. Actuator.Policy says what then
	// happens; with no actuator known, treat it as Required.
	Err error
}

// Group is the part of a batch that one actuator plans.
type Group struct {
	Batch []Snapshot // the batch itself where that is all of it
	// Positions are the indices of Batch in the batch that was grouped.
	Positions []int

	planner  *Planner
	actuator Actuator
	manifest Manifest
	err      error // no actuator serves these
	key      any   // what tells it from other groups
}

// Groups sorts a batch by actuator, so that a slow one delays only its own
// snapshots and a merchant's actuator sees only that merchant's. Groups and
// their snapshots keep the order of the batch.
func (p *Planner) Groups(batch []Snapshot) []*Group {
	var groups []*Group
	for i := range batch {
		actuator, err := p.Registry.For(batch[i].Kind, batch[i].MerchantID)
		// By the actuator itself: those of two merchants may have the same name.
		var key any = actuator
		if err != nil {
			key = nobody{batch[i].Kind, batch[i].MerchantID}
		}
		at := slices.IndexFunc(groups, func(g *Group) bool { return g.key == key })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &Group{planner: p, actuator: actuator, err: err, key: key, Positions: make([]int, 0, len(batch)-i)})
			if err == nil {
				groups[at].manifest = actuator.Manifest()
			}
		}
		groups[at].Positions = append(groups[at].Positions, i)
	}
	for _, g := range groups {
		g.pick(batch)
	}
	return groups
}

// pick takes the group's snapshots out of the batch; all of them, as they are,
// where there is no other group.
func (g *Group) pick(batch []Snapshot) {
	if len(g.Positions) == len(batch) {
		g.Batch = batch
		return
	}
	g.Batch = make([]Snapshot, len(g.Positions))
	for i, at := range g.Positions {
		g.Batch[i] = batch[at]
	}
}

// nobody is what serves a kind of a merchant that no actuator serves.
type nobody struct {
	kind     Kind
	merchant string
}

// Plan plans a batch of any kinds and merchants in one call per actuator, the
// actuators side by side. Outcome i answers batch[i]. Snapshot ids must be
// unique in the batch; a repeated one is answered with INTERNAL. Call it
// outside any transaction.
func (p *Planner) Plan(ctx context.Context, batch []Snapshot) []Outcome {
	outcomes := make([]Outcome, len(batch))
	groups := p.Groups(batch)
	var wg sync.WaitGroup
	for i, g := range groups {
		place := func() {
			for j, o := range g.Plan(ctx) {
				outcomes[g.Positions[j]] = o
			}
		}
		if i == len(groups)-1 {
			place()
		} else {
			wg.Go(place)
		}
	}
	wg.Wait()
	return outcomes
}

// Plan asks the group's actuator once and proves every answer. Outcome i
// answers g.Batch[i].
func (g *Group) Plan(ctx context.Context) []Outcome {
	outcomes := make([]Outcome, len(g.Batch))
	for i := range outcomes {
		outcomes[i].Actuator = g.manifest
	}
	if g.err != nil {
		return fail(outcomes, g.err)
	}
	if !unique(g.Batch) {
		return fail(outcomes, fault.Internal(&Failure{Code: "repeated_snapshot", Message: "snapshot ids of a batch must be unique and not empty"}))
	}
	plans, err := g.actuator.PlanBatch(ctx, g.Batch)
	if err != nil {
		return fail(outcomes, err)
	}
	answers, twice := match(g.Batch, plans)
	for i := range outcomes {
		g.prove(&outcomes[i], &g.Batch[i], answers[i], twice[i])
	}
	return outcomes
}

// prove fills the outcome of one snapshot from its answer, nil where there was
// none.
func (g *Group) prove(o *Outcome, s *Snapshot, answer *Plan, twice bool) {
	v := validation{m: &g.manifest, s: s}
	switch {
	case answer == nil:
		o.Err = Unavailable(g.manifest.Name, v.broken(RuleAnswer, "the snapshot was not answered"))
	case twice:
		o.Err = Unavailable(g.manifest.Name, v.broken(RuleAnswer, "the snapshot was answered more than once"))
	default:
		o.Err = validate(&g.manifest, s, answer)
	}
	if o.Err == nil {
		o.Plan = *answer
		return
	}
	if r := RejectionOf(o.Err); r != nil && g.planner.Rejected != nil {
		g.planner.Rejected(r)
	}
}

// match finds the plan of each snapshot, and which snapshots have several.
// Plans that answer nothing in the batch are dropped.
func match(batch []Snapshot, plans []Plan) (answers []*Plan, twice []bool) {
	answers, twice = make([]*Plan, len(batch)), make([]bool, len(batch))
	if inOrder(batch, plans) {
		for i := range plans {
			answers[i] = &plans[i]
		}
		return answers, twice
	}
	position := make(map[string]int, len(batch))
	for i := range batch {
		position[batch[i].ID] = i
	}
	for i := range plans {
		at, known := position[plans[i].SnapshotID]
		if !known {
			continue
		}
		twice[at] = twice[at] || answers[at] != nil
		answers[at] = &plans[i]
	}
	return answers, twice
}

// inOrder reports whether plan i answers snapshot i, as most actuators have it.
func inOrder(batch []Snapshot, plans []Plan) bool {
	if len(plans) != len(batch) {
		return false
	}
	for i := range batch {
		if plans[i].SnapshotID != batch[i].ID {
			return false
		}
	}
	return true
}

// unique reports whether every snapshot has an id of its own.
func unique(batch []Snapshot) bool {
	seen := make(map[string]bool, len(batch))
	for i := range batch {
		id := batch[i].ID
		if id == "" || seen[id] {
			return false
		}
		seen[id] = true
	}
	return true
}

func fail(outcomes []Outcome, err error) []Outcome {
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes
}
