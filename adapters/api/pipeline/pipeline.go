package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/ids"
)

// DefaultTimeout is how long a call may take.
const DefaultTimeout = 10 * time.Second

// Versions are the contract versions of the partner surface, the current one
// first.
var Versions = []string{"2026-06-01"}

// Config is what a pipeline needs. All of it but Timeout and Observe is required.
type Config struct {
	Registry *Registry
	Auth     Authenticator
	Limits   Limiter
	Places   Places
	// Replays finds stored outcomes.
	Replays idempotency.Store
	Clock   clock.Clock
	IDs     *ids.Source
	// Versions are the contract versions spoken, the current one first.
	Versions []string
	// ServerKey seals stored answers that hold a secret, together with the
	// caller's Idempotency-Key. 32 bytes; changing it loses those answers.
	ServerKey []byte
	Log       *slog.Logger
	// Timeout is how long a call may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// Observe, where set, is told of every answered call. It must not block.
	Observe func(ctx context.Context, o Observation)
}

// Observation is one answered call, for metrics and logs. Nothing in it names
// a person.
type Observation struct {
	Call     *app.Call
	Status   int
	Code     fault.Code // empty for a success
	Replayed bool
	Duration time.Duration
}

// Pipeline takes calls from a door to a handler and back. Safe for concurrent
// use.
type Pipeline struct {
	Config
	validator protovalidate.Validator
	defects   atomic.Int64
}

// New returns a pipeline, or an error that lists what is wrong with c.
func New(c Config) (*Pipeline, error) {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	errs := []error{c.check()}
	if c.Registry != nil {
		errs = append(errs, c.Registry.Err())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	v, err := protovalidate.New(protovalidate.WithMessages(requests(c.Registry)...))
	if err != nil {
		return nil, err
	}
	return &Pipeline{Config: c, validator: v}, nil
}

func (c *Config) check() error {
	var errs []error
	for what, missing := range map[string]bool{
		"Registry": c.Registry == nil, "Auth": c.Auth == nil, "Limits": c.Limits == nil, "Places": c.Places == nil,
		"Replays": c.Replays == nil, "Clock": c.Clock == nil, "IDs": c.IDs == nil, "Versions": len(c.Versions) == 0, "Log": c.Log == nil,
	} {
		if missing {
			errs = append(errs, errors.New("pipeline: Config."+what+" is missing"))
		}
	}
	if len(c.ServerKey) != 32 {
		errs = append(errs, errors.New("pipeline: Config.ServerKey must have 32 bytes"))
	}
	return errors.Join(errs...)
}

// requests are the messages whose rules are compiled before the first call.
func requests(r *Registry) []proto.Message {
	var out []proto.Message
	for _, o := range r.Operations() {
		out = append(out, r.Handler(o).NewRequest())
	}
	return out
}

// Defects is how many answers broke the rules of this package since the start
// (an idempotent answer that was not pinned); tests want 0.
func (p *Pipeline) Defects() int64 { return p.defects.Load() }

// Timed bounds what follows to the time that a call may take. A door calls it
// once for each request, before Begin.
func (p *Pipeline) Timed(ctx context.Context) (context.Context, context.CancelFunc) {
	return newTimed(ctx, p.Timeout)
}

// Begin opens a call from its headers, before its body is read: request id,
// credential, rate limit, Idempotency-Key. The exchange is never nil; where
// err is not, the door answers with Fail.
func (p *Pipeline) Begin(ctx context.Context, h *Handler, header http.Header, remoteAddr string) (x *Exchange, err error) {
	x = p.open(h, header, remoteAddr)
	defer recovered(&err)
	if err := p.authenticate(ctx, x); err != nil {
		return x, err
	}
	if err := p.limit(x); err != nil {
		return x, err
	}
	if h.Op.Options.GetIdempotent() {
		x.key, err = idempotencyKey(header)
	}
	return x, err
}

func (p *Pipeline) open(h *Handler, header http.Header, remoteAddr string) *Exchange {
	x := &Exchange{Handler: h, Header: header, RemoteAddr: remoteAddr, pipeline: p, began: time.Now()}
	x.Call.Operation = h.Op.ID
	x.Call.RequestID = p.IDs.Make(ids.Request)
	x.Call.APIVersion = p.Versions[0]
	return x
}

// Invoke answers a decoded request.
func (p *Pipeline) Invoke(ctx context.Context, x *Exchange, req proto.Message) *Answer {
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	res, err := p.answer(ctx, x, req)
	if err == nil {
		return p.success(ctx, x, res)
	}
	var replay *app.Replay
	if errors.As(err, &replay) {
		a, problem := x.replay(replay.Record)
		if problem == nil {
			return p.observed(ctx, x, a)
		}
		err = problem
	}
	return p.Fail(ctx, x, err)
}

// observed tells Observe of an answer and returns it.
func (p *Pipeline) observed(ctx context.Context, x *Exchange, a *Answer) *Answer {
	if p.Observe != nil {
		o := Observation{Call: &x.Call, Status: a.Status, Replayed: a.Meta.GetIdempotencyReplayed(), Duration: time.Since(x.began)}
		if a.Fault != nil {
			o.Code = a.Fault.Code
		}
		p.Observe(ctx, o)
	}
	return a
}

// answer runs the checks in the contract's order and then the handler.
func (p *Pipeline) answer(ctx context.Context, x *Exchange, req proto.Message) (res proto.Message, err error) {
	defer recovered(&err)
	if err := p.checkMeta(x, req); err != nil {
		return nil, err
	}
	if err := p.validate(req); err != nil {
		return nil, err
	}
	if err := p.admit(ctx, x, req); err != nil {
		return nil, err
	}
	if x.key != "" {
		if err := p.pin(ctx, x, req); err != nil {
			return nil, err
		}
	}
	return x.Handler.invoke(ctx, &x.Call, req)
}

func (p *Pipeline) success(ctx context.Context, x *Exchange, res proto.Message) *Answer {
	status, err := x.statusOf()
	if err != nil {
		return p.Fail(ctx, x, err)
	}
	if x.Call.Pin != nil && !x.pinned.Load() {
		p.defects.Add(1)
		p.Log.ErrorContext(ctx, "an idempotent operation answered without pinning its outcome", "operation", x.Call.Operation, "request_id", x.Call.RequestID)
	}
	a := &Answer{Status: status, Message: res, Wire: x.wire, Meta: x.finish(res)}
	if status >= http.StatusBadRequest { // a report that is a failure too: GET /health
		a.Fault = x.reported(status)
		a.Error = Published(a.Fault)
	}
	return p.observed(ctx, x, a)
}
