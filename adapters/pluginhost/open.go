package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

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
	ended    chan struct{} // closed to end it
	gone     chan struct{} // closed when it is gone
}

// Open starts the actuator of a spec, confined as a server would, and has it
// describe itself; a spec without a name takes whatever name it has. The caller closes it. Errors are in words for its author;
// see Explain.
func Open(ctx context.Context, spec Spec, cfg Config) (*Opened, error) {
	checked := spec
	if spec.Name == "" {
		checked.Name = "any"
	}
	if err := checked.check(); err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg.withDefaults()}
	dir, err := os.MkdirTemp(cfg.Dir, "feddi-actuator-")
	if err != nil {
		return nil, err
	}
	h.dir = dir
	o := &Opened{actuator: newActuator(h, spec), ended: make(chan struct{}), gone: make(chan struct{}), Isolated: spec.Confined && isolates()}
	started := make(chan error)
	go o.live(ctx, started)
	if err := <-started; err != nil {
		return nil, errors.Join(Explain(err), os.RemoveAll(dir))
	}
	return o, nil
}

// live keeps the thread that the process is bound to.
func (o *Opened) live(ctx context.Context, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(o.gone)
	p, err := o.actuator.launch(ctx)
	if err == nil {
		o.Manifest, o.Protocol, o.Client, o.Started = p.manifest, p.client.NegotiatedVersion(), p.actuator, time.Since(p.started)
		o.actuator.current.Store(p)
	}
	started <- err
	if err == nil {
		<-o.ended
		p.end()
	}
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
	close(o.ended)
	<-o.gone
	return os.RemoveAll(o.actuator.host.dir)
}

// causes are what a start can fail of, by what is found in its error, in words
// for the author of an actuator.
var causes = []struct{ found, says string }{
	{"Incompatible core API version", "the actuator speaks another version of the handshake than this feddi: build it with the SDK of this release"},
	{"Failed to read any lines from plugin's stdout", "the actuator ended before it answered, or never answered; run it by hand to see why: it should say that it is a plugin"},
	{"Unrecognized remote plugin message", "the actuator printed something else than the handshake: its main must only call sdk.Serve, and log to standard error (sdk.Logger)"},
	{"timeout while waiting for plugin to start", "the actuator did not answer in time: its main must call sdk.Serve at once and prepare nothing before"},
	{"exec format error", "the system cannot run the file: build it for this machine"},
	{"no such file or directory", "the file, or the interpreter that its first line names, is not there"},
	{"plugin exited before we could connect", "the actuator ended before it answered; run it by hand to see why: it should say that it is a plugin"},
}

// Explained is a failed start with what it means.
type Explained struct {
	Says  string // for the author
	cause error
}

// Error implements error.
func (e *Explained) Error() string { return e.Says }

// Unwrap gives what the system said.
func (e *Explained) Unwrap() error { return e.cause }

// Explain puts the failure of a start into words for the actuator's author,
// where it is a known one.
func Explain(err error) error {
	if said := otherVersion.FindStringSubmatch(err.Error()); said != nil {
		return &Explained{versions(said[1]), err}
	}
	for _, c := range causes {
		if strings.Contains(err.Error(), c.found) {
			return &Explained{c.says, err}
		}
	}
	return err
}

// otherVersion finds the version that an actuator settled on and the host does
// not speak, in go-plugin's words.
var otherVersion = regexp.MustCompile(`incompatible API version with plugin\. Plugin version: (\d+)`)

// versions says what an author does about a version that is not spoken.
func versions(theirs string) string {
	n, _ := strconv.Atoi(theirs)
	cure := "it is too old: build it again with the SDK of this release"
	if n > handshake.Version {
		cure = "it is too new: install a newer feddi, or build it with the SDK of this release"
	}
	return fmt.Sprintf("the actuator speaks version %s of the protocol and this feddi versions %d to %d; %s", theirs, handshake.Oldest, handshake.Version, cure)
}

// ProtocolVersion is the newest version of the actuator protocol spoken here.
const ProtocolVersion = handshake.Version
