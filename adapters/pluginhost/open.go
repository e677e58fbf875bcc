package pluginhost

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost/explain"
	"github.com/feddi/feddi/adapters/pluginhost/folder"
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// Opened is an actuator that was started once, without supervision, to be
// looked at.
type Opened struct {
	Manifest actuation.Manifest
	Protocol int                       // version that the handshake settled on
	Client   actuatorv1.ActuatorClient // speaks to the process
	Started  time.Duration             // from the start to the manifest
	Isolated bool                      // it runs in namespaces of its own

	actuator *actuator
}

// Open starts the actuator of a spec, confined as a server would, and has it
// describe itself; a spec without a name takes whatever name it has. The caller closes it. Errors are in words for its author;
// see package explain.
func Open(ctx context.Context, spec Spec, cfg Config) (*Opened, error) {
	checked := spec
	if spec.Name == "" {
		checked.Name = "any"
	}
	if err := checked.check(); err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg.withDefaults()}
	f, err := folder.Make(cfg.Dir)
	if err != nil {
		return nil, err
	}
	h.folder = f
	a := newActuator(h, spec)
	p, err := a.spawn(ctx)
	if err != nil {
		return nil, errors.Join(explain.Start(err), f.Remove())
	}
	a.current.Store(p)
	return &Opened{
		Manifest: p.manifest, Protocol: p.client.NegotiatedVersion(), Client: p.actuator, Started: time.Since(p.started),
		Isolated: spec.Confined && isolates(), actuator: a,
	}, nil
}

// Planner asks the actuator as a server does: proven plans only. It serves the
// kinds of its manifest for every merchant.
func (o *Opened) Planner() *actuation.Planner {
	o.actuator.view.Store(&view{manifest: o.Manifest, state: actuation.StateReady})
	return &actuation.Planner{Registry: alone{o.actuator}}
}

// alone is a registry of one actuator.
type alone struct{ *actuator }

func (a alone) For(kind actuation.Kind, _ string) (actuation.Actuator, error) {
	if !a.Manifest().Serves(kind) {
		return nil, actuation.Unavailable(a.spec.Name, &actuation.Failure{Code: "unsupported_kind", Message: "it does not serve " + string(kind)})
	}
	return a.actuator, nil
}

func (a alone) All() []actuation.Status { return []actuation.Status{a.status()} }

// Pid is the actuator's process.
func (o *Opened) Pid() int { return o.actuator.current.Load().cmd.Process.Pid }

// Close ends the process, and returns when it is gone.
func (o *Opened) Close() error {
	o.actuator.current.Load().end()
	return o.actuator.host.folder.Remove()
}

// ProtocolVersion is the newest version of the actuator protocol spoken here.
const ProtocolVersion = handshake.Version
