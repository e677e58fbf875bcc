package system

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost"
	store "github.com/feddi/feddi/adapters/postgres/actuators"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/ids"
)

const (
	// installedEvery bounds how long an installation takes to be noticed.
	installedEvery = 500 * time.Millisecond
	// tellEvery is how often a server writes down how its actuators fare.
	tellEvery = 2 * time.Second
)

// ownActuators are the merchants' actuators of a running system: it takes up
// what is installed, tells how they fare, and writes their events.
type ownActuators struct {
	system  *System
	store   actuators.Store
	keeper  *actuators.Keeper
	shadows *actuators.Shadows
	execute *actuators.Executions
	log     *slog.Logger

	changes  chan pluginhost.Change
	rejected chan *actuation.Rejected
	down     map[string]bool // installations whose tenant was told of a failure
}

func newOwnActuators() *ownActuators {
	return &ownActuators{changes: make(chan pluginhost.Change, 1024), rejected: make(chan *actuation.Rejected, 1024), down: map[string]bool{}}
}

// changed takes a change of state; it never blocks the supervisor.
func (o *ownActuators) changed(c pluginhost.Change) {
	if c.Installation == nil {
		return
	}
	select {
	case o.changes <- c:
	default: // a thousand changes behind: the log has them
	}
}

// refused takes a plan that broke a rule; it never blocks the payment.
func (o *ownActuators) refused(r *actuation.Rejected) {
	select {
	case o.rejected <- r:
	default: // a thousand behind: the log has them
	}
}

// assemble makes what it needs of the system, and gives the use cases their part.
func (o *ownActuators) assemble(s *System) {
	o.system, o.log = s, s.Log
	o.store = store.New(s.DB)
	o.keeper = &actuators.Keeper{Store: o.store, Host: s.Host, Mode: s.Mode}
	s.Uses.Transactions.Own, s.Uses.Transactions.Bought = s.Host, o.store
	o.execute = &actuators.Executions{Commands: o.store, Clock: s.clock, IDs: s.ids, Mode: s.Mode, Find: s.Host.Executor}
	o.shadows = &actuators.Shadows{
		UoW: s.UoW, Store: o.store, Clock: s.clock, Installed: s.Host.InstalledFor, Registry: s.Host.Shadow, Snapshot: s.Uses.Transactions.OwnSnapshot,
	}
}

// run works until ctx ends.
func (o *ownActuators) run(ctx context.Context) {
	look, tell := time.NewTicker(installedEvery), time.NewTicker(tellEvery)
	defer look.Stop()
	defer tell.Stop()
	o.look(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			o.look(ctx)
		case <-tell.C:
			o.tell(ctx)
		case c := <-o.changes:
			o.announce(ctx, c)
		case r := <-o.rejected:
			o.record(ctx, r)
		}
	}
}

func (o *ownActuators) look(ctx context.Context) {
	if err := o.keeper.Look(ctx); err != nil && ctx.Err() == nil {
		o.log.Warn("the installed actuators could not be read; those that run go on", "error", err)
	}
}

// record keeps a plan that broke a rule, and those behind it, for the operator.
func (o *ownActuators) record(ctx context.Context, first *actuation.Rejected) {
	type same struct{ merchant, actuator, version, rule string }
	sums := map[same]*actuators.Rejection{}
	add := func(r *actuation.Rejected) {
		key := same{r.MerchantID, r.Actuator, r.Version, string(r.Rule)}
		if sums[key] == nil {
			sums[key] = &actuators.Rejection{MerchantID: r.MerchantID, Actuator: r.Actuator, Version: r.Version, Rule: string(r.Rule)}
		}
		sums[key].Count++
		sums[key].SnapshotID, sums[key].Message = r.SnapshotID, r.Message
	}
	add(first)
	for waiting := len(o.rejected); waiting > 0; waiting-- {
		add(<-o.rejected)
	}
	list := make([]actuators.Rejection, 0, len(sums))
	for _, sum := range sums {
		list = append(list, *sum)
	}
	if err := o.store.Reject(ctx, o.system.clock.Now(), list); err != nil && ctx.Err() == nil {
		o.log.Warn("the record of a refused plan was not written", "error", err)
	}
}

func (o *ownActuators) tell(ctx context.Context) {
	var list []actuators.Told
	for _, r := range o.system.Host.Reports() {
		name := r.Installation
		if name == "" {
			name = r.Status.Manifest.Name
		}
		list = append(list, actuators.Told{Actuator: name, TenantNo: r.TenantNo, Status: r.Status, Usage: r.Usage})
	}
	if err := o.store.Tell(ctx, o.system.name, list); err != nil && ctx.Err() == nil {
		o.log.Warn("how the actuators fare could not be written", "error", err)
	}
}

// announce tells the merchant that its actuator stopped answering, or answers
// again.
func (o *ownActuators) announce(ctx context.Context, c pluginhost.Change) {
	id, kind := c.Installation.ID, ""
	switch down := o.down[id]; {
	case c.To == actuation.StateReady && down:
		kind = "actuator.restored"
		delete(o.down, id)
	case c.To == actuation.StateStopped:
		delete(o.down, id)
	case !down && c.To != actuation.StateReady && (c.From == actuation.StateReady || c.To == actuation.StateFailed):
		kind = "actuator.degraded"
		o.down[id] = true
	}
	if kind == "" {
		return
	}
	data, err := json.Marshal(map[string]any{
		"actuator": c.Name, "version": c.Installation.Manifest.Version, "installation_id": id, "state": c.To, "shadow": c.Installation.Shadow,
	})
	if err == nil {
		e := event.Event{ID: o.system.ids.Make(ids.Event), Tenant: c.Installation.Tenant, Type: kind, Subject: id, At: c.At, Data: data}
		err = o.system.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error { return st.Events.Append(ctx, e) })
	}
	if err != nil && ctx.Err() == nil {
		o.log.Warn("an event of an actuator was not written", "event", kind, "actuator", c.Name, "error", err)
	}
}
