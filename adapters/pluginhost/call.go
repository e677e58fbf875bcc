package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

var (
	_ actuation.Actuator = (*actuator)(nil)
	_ actuation.Executor = (*actuator)(nil)
)

// answerSize bounds what an actuator may answer.
var answerSize = grpc.MaxCallRecvMsgSize(handshake.MaxAnswerBytes)

// Manifest implements actuation.Actuator.
func (a *actuator) Manifest() actuation.Manifest { return a.view.Load().manifest }

// PlanBatch implements actuation.Actuator. The actuator's time limit bounds
// the call, waiting for a free slot included.
func (a *actuator) PlanBatch(ctx context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	began := time.Now()
	raw, err := a.call(ctx, plans, func(ctx context.Context, p *process) (any, error) {
		return p.plans.Ask(ctx, batch)
	})
	a.meter.Plans(len(batch), time.Since(began), err)
	if err != nil {
		return nil, err
	}
	return raw.([]actuation.Plan), nil
}

// Execute implements actuation.Executor.
func (a *actuator) Execute(ctx context.Context, c actuation.Command) (actuation.Receipt, error) {
	a.meter.Execution()
	raw, err := a.call(ctx, commands, func(ctx context.Context, p *process) (any, error) {
		if !p.driven() {
			return nil, &actuation.Failure{Code: "unsupported_kind", Field: "kind", Message: "it was built before commands were driven; build it with the SDK of this release"}
		}
		return p.actuator.Execute(ctx, wire.ExecuteRequest(c), answerSize)
	})
	if err != nil {
		return actuation.Receipt{}, err
	}
	return wire.Receipt(raw.(*actuatorv1.ExecuteResponse)), nil
}

// lane is what a call is for. Each has its own number of calls in flight and its
// own breaker: a world outside that does not answer must not keep an actuator
// from planning.
type lane int

const (
	plans lane = iota
	commands
)

// commandsAtOnce is how many commands of one actuator are carried out at once.
const commandsAtOnce = 4

// call makes one call within the time limit, the number of calls in flight and
// the breaker of its lane. Errors: DEADLINE_EXCEEDED, ACTUATOR_UNAVAILABLE caused
// by an *actuation.Failure.
func (a *actuator) call(ctx context.Context, l lane, do func(context.Context, *process) (any, error)) (any, error) {
	if a.draining.Load() {
		return nil, a.unavailable(&actuation.Failure{Code: "not_running", Message: "the host is stopping it", Retryable: true})
	}
	within, cancel := context.WithTimeout(ctx, a.Manifest().TimeLimit)
	defer cancel()
	select {
	case a.slots[l] <- struct{}{}:
		defer func() { <-a.slots[l] }()
	case <-within.Done():
		return nil, a.unavailable(&actuation.Failure{Code: "busy", Message: fmt.Sprintf("%d calls are in flight", cap(a.slots[l])), Retryable: true})
	}
	p := a.current.Load()
	if p == nil {
		v := a.view.Load()
		return nil, a.unavailable(&actuation.Failure{Code: "not_running", Message: string(v.state) + ": " + v.reason, Retryable: true})
	}
	ask := func(p *process) (any, error) {
		return p.breakers[l].Execute(func() (any, error) {
			answer, err := do(within, p)
			switch {
			case err == nil:
				return answer, nil
			case byCaller(ctx, within, err):
				return nil, &excused{error: err}
			case a.spec.Standby && gone(err):
				return nil, &excused{error: err, died: true}
			}
			return answer, err
		})
	}
	answer, err := ask(p)
	var e *excused
	if l == plans && errors.As(err, &e) && e.died {
		// A plan is facts in, effects out: it can be asked for twice.
		if next := a.successor(within, p); next != nil {
			answer, err = ask(next)
		}
	}
	if err != nil {
		return nil, a.translate(within, err)
	}
	return answer, nil
}

// excused marks a failed call that does not count against a process: its caller
// ended it, or the process died and another one takes its place.
type excused struct {
	error

	died bool
}

// gone reports whether a call failed because nobody was there to answer: the
// process died, or it was replaced between finding it and calling it.
func gone(err error) bool {
	code := wire.Failure(err).Code
	return code == "not_running" || code == "canceled"
}

// successor waits for the process that takes the place of dead, and returns nil
// where there will be none within ctx.
func (a *actuator) successor(ctx context.Context, dead *process) *process {
	for {
		a.mu.Lock()
		v, changed := a.view.Load(), a.changed
		a.mu.Unlock()
		if p := a.current.Load(); p != nil && p != dead {
			return p
		}
		if v.state == actuation.StateFailed || v.state == actuation.StateStopped {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// byCaller reports whether a failed call ended for the caller's sake: it went
// away, or it gave less time than the actuator's limit. The actuator keeps the
// deadline too, and its answer can arrive before the caller's own timer fires.
func byCaller(ctx, within context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	callers, limited := ctx.Deadline()
	limit, _ := within.Deadline()
	return limited && !limit.Before(callers) && status.Code(err) == codes.DeadlineExceeded
}

// newBreaker makes the breaker of a lane of one process: a new process starts
// with closed ones. tripped, where not nil, gets a token when it changes.
func (a *actuator) newBreaker(tripped chan struct{}) *gobreaker.CircuitBreaker[any] {
	return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Name:        a.spec.Name,
		Timeout:     a.host.cfg.BreakerRest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= a.host.cfg.BreakerTrips },
		IsExcluded: func(err error) bool {
			var e *excused
			return errors.As(err, &e)
		},
		// A typed answer of the actuator's, however negative, is an answer.
		IsSuccessful: func(err error) bool { return err == nil || answered(err) },
		OnStateChange: func(string, gobreaker.State, gobreaker.State) {
			select {
			case tripped <- struct{}{}:
			default:
			}
		},
	})
}

// answered reports whether the actuator itself said no, in a form that it
// chose.
func answered(err error) bool {
	var f *actuation.Failure
	if errors.As(err, &f) {
		return false // garbage
	}
	switch wire.Failure(err).Code {
	case "not_running", "deadline", "canceled", "oversized", "garbage", "internal":
		return false
	}
	return true
}

// translate gives an error of a call its type.
func (a *actuator) translate(within context.Context, err error) error {
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return a.unavailable(&actuation.Failure{Code: "breaker_open", Message: "too many calls failed; it is given a rest", Retryable: true})
	}
	var e *excused
	if errors.As(err, &e) {
		err = e.error
	}
	var f *actuation.Failure
	if !errors.As(err, &f) {
		f = wire.Failure(err)
	}
	if within.Err() != nil || f.Code == "deadline" {
		return fault.New(fault.CodeDeadlineExceeded, "the %s actuator did not answer in time; nothing was changed; retry with the same Idempotency-Key", a.spec.Name).Because(f)
	}
	return a.unavailable(f)
}

func (a *actuator) unavailable(f *actuation.Failure) error {
	return actuation.Unavailable(a.spec.Name, f)
}

// drain refuses new calls for good, and returns when those in flight are done
// or ctx ends.
func (a *actuator) drain(ctx context.Context) {
	a.draining.Store(true)
	for _, slots := range a.slots {
		for range cap(slots) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}
}
