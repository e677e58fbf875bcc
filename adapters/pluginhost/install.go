package pluginhost

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/actuation"
)

const (
	// handOver is how long a replaced actuator still takes calls of those who
	// found it just before it was replaced.
	handOver = time.Second
	// drainLimit is how long it then has for what is in flight: more than a time
	// limit can be.
	drainLimit = 15 * time.Second
)

// installed are the actuators that merchants have of their own: one process
// each, that sees the snapshots of its merchant only.
type installed struct {
	life context.Context // set by Start

	mu      sync.Mutex
	running map[place]*instance
	leaving map[*actuator]bool
	// found is what callers find, by merchant; never changed once stored.
	found atomic.Pointer[map[string][]*instance]
}

// place is what one installation takes: a newer one of the same place replaces it.
type place struct {
	merchant, name string
	shadow         bool
}

// instance is one installation that is served, and perhaps its successor.
type instance struct {
	actuation.Installation

	actuator *actuator
	end      context.CancelFunc
	next     *instance // warming up
}

// Install makes the merchants' actuators those of want: what is new starts,
// what is gone drains and ends, and what has a new installation goes on serving
// until the new one is ready. It returns at once. A host that does
// not run does nothing.
func (h *Host) Install(want []actuation.Installation) {
	h.own.mu.Lock()
	defer h.own.mu.Unlock()
	if h.own.life == nil || h.own.life.Err() != nil {
		return
	}
	if h.own.running == nil {
		h.own.running, h.own.leaving = map[place]*instance{}, map[*actuator]bool{}
	}
	kept := map[place]bool{}
	for _, in := range want {
		at := place{in.Tenant.MerchantID, in.Manifest.Name, in.Shadow}
		kept[at] = true
		switch now := h.own.running[at]; {
		case now == nil:
			h.own.running[at] = h.launchOwn(in)
		case now.ID == in.ID:
			h.retire(now.next)
			now.next = nil
		case now.next == nil || now.next.ID != in.ID:
			h.retire(now.next)
			now.next = h.launchOwn(in)
			h.replace(at, now, now.next)
		}
	}
	for at, now := range h.own.running {
		if !kept[at] {
			delete(h.own.running, at)
			h.retire(now.next)
			h.retire(now)
		}
	}
	h.own.publish()
}

// launchOwn starts an installation. The caller holds own.mu.
func (h *Host) launchOwn(in actuation.Installation) *instance {
	manifest := in.Manifest
	spec := Spec{
		Name: manifest.Name, Command: in.Path, SHA256: in.SHA256, Confined: true, Hosts: in.Hosts,
		Manifest: &manifest, Installation: &in,
	}
	a := newActuator(h, spec)
	a.log = a.log.With("merchant", in.Tenant.MerchantID, "installation", in.ID)
	life, end := context.WithCancel(h.own.life)
	h.wg.Go(func() { a.supervise(life) })
	return &instance{Installation: in, actuator: a, end: end}
}

// replace puts next into the place of now once it is ready.
func (h *Host) replace(at place, now, next *instance) {
	h.wg.Go(func() {
		if !next.actuator.becomesReady(h.own.life) {
			return
		}
		h.own.mu.Lock()
		defer h.own.mu.Unlock()
		if h.own.running[at] != now || now.next != next {
			return // something newer came, or it was uninstalled
		}
		now.next = nil
		h.own.running[at] = next
		h.own.publish()
		h.retire(now)
	})
}

// retire ends an instance that nobody finds any more; nil is nobody. The caller
// holds own.mu.
func (h *Host) retire(in *instance) {
	if in == nil || h.own.leaving[in.actuator] {
		return
	}
	h.own.leaving[in.actuator] = true
	h.wg.Go(func() {
		in.actuator.log.Info("actuator is being retired")
		timer := time.NewTimer(handOver)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-h.own.life.Done():
		}
		ctx, cancel := context.WithTimeout(h.own.life, drainLimit)
		defer cancel()
		in.actuator.drain(ctx)
		in.end()
		h.own.mu.Lock()
		delete(h.own.leaving, in.actuator)
		h.own.mu.Unlock()
	})
}

// becomesReady waits until it is ready; false where ctx or its life ends first.
func (a *actuator) becomesReady(ctx context.Context) bool {
	for {
		a.mu.Lock()
		v, changed := a.view.Load(), a.changed
		a.mu.Unlock()
		switch v.state {
		case actuation.StateReady:
			return true
		case actuation.StateStopped:
			return false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// publish makes what runs visible to callers. The caller holds mu.
func (o *installed) publish() {
	found := map[string][]*instance{}
	for _, in := range o.running {
		found[in.Tenant.MerchantID] = append(found[in.Tenant.MerchantID], in)
	}
	o.found.Store(&found)
}

func (o *installed) of(merchantID string) []*instance {
	if found := o.found.Load(); found != nil {
		return (*found)[merchantID]
	}
	return nil
}

// serving is the merchant's live actuator for kind, or nil.
func (o *installed) serving(kind actuation.Kind, merchantID string) actuation.Actuator {
	for _, in := range o.of(merchantID) {
		if !in.Shadow && slices.Contains(in.SaleKinds(), kind) {
			return in.actuator
		}
	}
	return nil
}

// all are the actuators that run.
func (o *installed) all() []*actuator {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := slices.Collect(maps.Keys(o.leaving))
	for _, in := range o.running {
		out = append(out, in.actuator)
		if in.next != nil {
			out = append(out, in.next.actuator)
		}
	}
	return out
}

// InstalledFor lists what a merchant has, as it is served now: while a newer
// version warms up, the one before it.
func (h *Host) InstalledFor(merchantID string) []actuation.Installation {
	running := h.own.of(merchantID)
	if len(running) == 0 {
		return nil
	}
	out := make([]actuation.Installation, len(running))
	for i, in := range running {
		out[i] = in.Installation
	}
	return out
}

// Shadow is a registry of one shadow installation of a merchant.
func (h *Host) Shadow(merchantID, installationID string) (actuation.Registry, bool) {
	for _, in := range h.own.of(merchantID) {
		if in.Shadow && in.ID == installationID {
			return alone{in.actuator}, true
		}
	}
	return nil, false
}

// Executor finds what carries out the commands of a merchant's installation;
// false where it does not run here. While a newer version warms up it is the one
// before it.
func (h *Host) Executor(merchantID, name string, shadow bool) (actuation.Executor, actuation.Installation, bool) {
	for _, in := range h.own.of(merchantID) {
		if in.Manifest.Name == name && in.Shadow == shadow {
			return in.actuator, in.Installation, true
		}
	}
	return nil, actuation.Installation{}, false
}

// Report is an actuator with what it was asked.
type Report struct {
	Installation string // empty for the host's own
	TenantNo     int32
	Pid          int // its process; 0 while none runs
	Standby      int // the process that would take over; 0 while none is ready
	Status       actuation.Status
	Usage        actuation.Usage
}

// pid is its process; 0 while none runs.
func (a *actuator) pid() int {
	if p := a.current.Load(); p != nil && p.cmd.Process != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Reports lists every actuator: the host's own, then the merchants', those that
// warm up included.
func (h *Host) Reports() []Report {
	var out []Report
	for _, a := range h.actuators {
		out = append(out, Report{Pid: a.pid(), Standby: int(a.spare.Load()), Status: a.status(), Usage: a.meter.Usage()})
	}
	h.own.mu.Lock()
	defer h.own.mu.Unlock()
	for _, in := range h.own.running {
		for ; in != nil; in = in.next {
			out = append(out, Report{
				Installation: in.ID, TenantNo: in.Tenant.No, Pid: in.actuator.pid(), Status: in.actuator.status(), Usage: in.actuator.meter.Usage(),
			})
		}
	}
	return out
}

// Rejected counts a plan that broke a rule against its actuator.
func (h *Host) Rejected(r *actuation.Rejected) {
	for _, in := range h.own.of(r.MerchantID) {
		if in.Manifest.Name == r.Actuator && in.Manifest.Version == r.Version {
			in.actuator.meter.Rejection()
			return
		}
	}
	for _, a := range h.actuators {
		if a.spec.Name == r.Actuator {
			a.meter.Rejection()
		}
	}
}
