package pluginhost

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/feddi/feddi/adapters/pluginhost/calls"
	"github.com/feddi/feddi/adapters/pluginhost/gate"
	"github.com/feddi/feddi/adapters/pluginhost/lines"
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

// process is one life of an actuator: from exec until its death it is never
// reused. go-plugin restarts nothing.
type process struct {
	client   *plugin.Client
	cmd      *exec.Cmd
	conn     *grpc.ClientConn
	actuator actuatorv1.ActuatorClient
	plans    *calls.Plans
	manifest actuation.Manifest
	breakers [2]*gobreaker.CircuitBreaker[any] // by lane
	// tripped gets a token whenever the breaker of plans changes its state.
	tripped chan struct{}
	// started is when it was, or when it began to serve after it had stood by.
	started time.Time
	lost    chan struct{} // closed when its connection is: it died, or is ended
	gone    chan struct{} // closed when it was ended
	// taken is closed when a standby is taken; rest is how long its own standby
	// is waited with.
	taken chan struct{}
	rest  time.Duration
	dir   string     // its working directory
	gate  *gate.Gate // nil where it is not confined
	own   bool       // dir is its own and goes with it
}

// spawn launches a process on a thread of its own that lives as long as it:
// Linux kills a child when the thread that made it ends, and the Go runtime is
// free to end any other.
func (a *actuator) spawn(ctx context.Context) (p *process, err error) {
	launched := make(chan struct{})
	a.host.wg.Go(func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err = a.launch(ctx)
		mine := p
		close(launched)
		if mine != nil {
			<-mine.gone
		}
	})
	<-launched
	return p, err
}

// launch starts the actuator's process and has it describe itself. The caller
// must be locked to its thread: the process dies with the thread.
func (a *actuator) launch(ctx context.Context) (*process, error) {
	dir := a.host.folder.Path
	if a.spec.Confined {
		own, err := os.MkdirTemp(dir, "w-") // short: a socket in it has 107 bytes for its path
		if err != nil {
			return nil, err
		}
		dir = own
	}
	p, err := a.start(dir)
	if err != nil {
		return nil, err
	}
	p.dir = dir
	if err := a.greet(ctx, p); err != nil {
		close(p.lost)
		p.end()
		return nil, err
	}
	go func() {
		defer close(p.lost)
		p.conn.WaitForStateChange(context.Background(), connectivity.Ready) // end closes it
	}()
	p.breakers = [...]*gobreaker.CircuitBreaker[any]{plans: a.newBreaker(p.tripped), commands: a.newBreaker(nil)}
	return p, nil
}

// start makes the client of a process that runs in dir.
func (a *actuator) start(dir string) (*process, error) {
	cfg := &plugin.ClientConfig{
		HandshakeConfig:  handshake.Config(),
		VersionedPlugins: handshake.Plugins(dialed{}),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		GRPCDialOptions:  []grpc.DialOption{grpc.WithStaticConnWindowSize(handshake.Window), grpc.WithStaticStreamWindowSize(handshake.Window)},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     a.host.cfg.StartTimeout,
		Logger:           lines.Bridge(a.log),
		SyncStdout:       &lines.Printed{Log: a.log},
		SyncStderr:       &lines.Printed{Log: a.log},
	}
	p := &process{
		tripped: make(chan struct{}, 1), started: time.Now(), own: a.spec.Confined,
		lost: make(chan struct{}), gone: make(chan struct{}), taken: make(chan struct{}),
	}
	if a.spec.Confined {
		cmd, err := a.spec.confined(dir)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if p.gate, err = gate.Open(dir, a.spec.Hosts, a.log); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		cmd.Env = append(cmd.Env, handshake.GateEnv+"="+p.gate.Path())
		limits := a.spec.Limits.orStandard()
		cfg.RunnerFunc = confine(cmd, &limits)
		cfg.UnixSocketConfig = &plugin.UnixSocketConfig{TempDir: dir}
		p.cmd, p.client = cmd, plugin.NewClient(cfg)
		return p, nil
	}
	cmd, sum, err := a.spec.command(dir)
	if err != nil {
		return nil, err
	}
	if sum != nil {
		// A hash is used up by one check: a new one for every start.
		cfg.SecureConfig = &plugin.SecureConfig{Checksum: sum, Hash: sha256.New()}
	}
	cfg.Cmd = cmd
	p.cmd, p.client = cmd, plugin.NewClient(cfg)
	return p, nil
}

// greet connects, and asks the actuator what it is.
func (a *actuator) greet(ctx context.Context, p *process) error {
	protocol, err := p.client.Client()
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	raw, err := protocol.Dispense(handshake.Name)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	p.conn = raw.(*grpc.ClientConn)
	p.actuator = actuatorv1.NewActuatorClient(p.conn)
	p.plans = calls.Over(p.actuator, p.driven(), answerSize)
	ctx, cancel := context.WithTimeout(ctx, a.host.cfg.StartTimeout)
	defer cancel()
	res, err := p.actuator.Describe(ctx, &actuatorv1.DescribeRequest{HostVersion: a.host.cfg.Version, ProtocolVersion: int32(p.client.NegotiatedVersion())}, answerSize)
	if err != nil {
		return fmt.Errorf("describing itself: %w", err)
	}
	p.manifest = wire.Manifest(res.GetManifest()).Known()
	pinned := a.spec.Manifest
	if !p.driven() {
		p.manifest = p.manifest.Undriven()
		if pinned != nil {
			plans := pinned.Undriven()
			pinned = &plans
		}
	}
	if err := p.manifest.Validate(); err != nil {
		return fmt.Errorf("describing itself: %w", err)
	}
	if a.spec.Name != "" && p.manifest.Name != a.spec.Name {
		return fmt.Errorf("describing itself: it is named %s, the host expects %s", p.manifest.Name, a.spec.Name)
	}
	if pinned != nil && !pinned.Same(p.manifest) {
		return fmt.Errorf("%w: it declares something else than when it was installed; install it again", errUnfit)
	}
	return nil
}

// driven reports whether it settled on a protocol version in which the host
// drives commands and hands out stored facts.
func (p *process) driven() bool { return p.client.NegotiatedVersion() >= handshake.Drives }

// since is when it began to serve; zero for nil, which never did.
func (p *process) since() (at time.Time) {
	if p != nil {
		at = p.started
	}
	return at
}

// ping asks whether the process answers at all.
func (p *process) ping(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	res, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err == nil && res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return errors.New("it says that it does not serve")
	}
	return err
}

// graceful is how long a process may take to end when asked.
const graceful = time.Second

// end ends the process and waits until it and everything around it is gone.
// It asks first; a process that does not answer is killed.
func (p *process) end() {
	defer close(p.gone)
	if p.conn == nil {
		p.kill()
	}
	// go-plugin's own farewell has no deadline: a process that hangs would hang
	// the host.
	timer := time.AfterFunc(graceful, p.kill)
	defer timer.Stop()
	p.client.Kill()
	if p.conn != nil {
		_ = p.conn.Close() // closed already, but where the farewell failed
	}
	<-p.lost
	if p.gate != nil {
		p.gate.Close()
	}
	if p.own {
		_ = os.RemoveAll(p.dir)
	}
}

// kill ends the process and its group at once. It does not wait.
func (p *process) kill() {
	if !p.client.Exited() && p.cmd.Process != nil {
		killGroup(p.cmd.Process.Pid)
	}
}

// discard ends a process of which nothing is to be expected; nil is none.
func (p *process) discard() {
	if p != nil {
		p.kill()
		p.end()
	}
}

// dialed is the client side of an actuator for go-plugin: the connection.
type dialed struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer implements plugin.GRPCPlugin. A host serves nothing.
func (dialed) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("pluginhost: a host calls, it does not serve")
}

// GRPCClient implements plugin.GRPCPlugin.
func (dialed) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
