package actuators

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

const (
	// commandLease is how long a claimed command is its worker's: more than a
	// time limit can be.
	commandLease = 30 * time.Second
	// atOnce is how many commands are carried out side by side, so that one that
	// takes its time does not hold up the others.
	atOnce = 32
	// elsewhere is when a command is looked at again whose actuator does not run
	// here: it is starting, or being replaced.
	elsewhere = 2 * time.Second
	// kept is how long finished commands are kept.
	kept = 30 * 24 * time.Hour
)

// Executions carries out stored commands: after the commit of what asked for
// them, outside any transaction, at least once each. Any number of servers may
// do it; each command is claimed by one.
type Executions struct {
	Commands Commands
	Clock    clock.Clock
	IDs      *ids.Source
	Mode     tenancy.Mode // merchants of this mode are served
	// Find finds what runs of a merchant's actuator; false where nothing does.
	Find func(merchantID, name string, shadow bool) (actuation.Executor, actuation.Installation, bool)
}

// Run carries out what is due, about limit of it, and says how many commands that
// was; where it is limit there may be more. One that takes its time leaves room
// for the others. A command that fails is no error: it is tried again, or parked.
func (e *Executions) Run(ctx context.Context, limit int) (int, error) {
	makeID := func() string { return e.IDs.Make(actuation.CommandPrefix) }
	if _, err := e.Commands.Schedule(ctx, e.Mode, e.Clock.Now(), limit, makeID); err != nil {
		return 0, err
	}
	var (
		mu     sync.Mutex
		failed []error
		wg     sync.WaitGroup
		total  int
	)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, err)
	}
	slots := make(chan struct{}, atOnce)
	for total < limit {
		free := take(slots)
		claimed, err := e.Commands.Claim(ctx, e.Mode, e.Clock.Now(), commandLease, free)
		if err != nil {
			note(err)
		}
		for range free - len(claimed) {
			<-slots
		}
		for _, c := range claimed {
			wg.Go(func() {
				defer func() { <-slots }()
				note(e.carryOut(ctx, c))
			})
		}
		if total += len(claimed); len(claimed) == 0 {
			break
		}
	}
	wg.Wait()
	return total, errors.Join(failed...)
}

// take waits for a slot and takes all that are free then; it says how many.
func take(slots chan<- struct{}) int {
	slots <- struct{}{}
	for n := 1; ; n++ {
		select {
		case slots <- struct{}{}:
		default:
			return n
		}
	}
}

// Sweep deletes what was finished long ago.
func (e *Executions) Sweep(ctx context.Context, limit int) (int, error) {
	return e.Commands.Sweep(ctx, e.Clock.Now().Add(-kept), limit)
}

// carryOut makes one attempt.
func (e *Executions) carryOut(ctx context.Context, c actuation.StoredCommand) error {
	executor, in, runs := e.Find(c.Tenant.MerchantID, c.Actuator, c.Shadow)
	if !runs {
		return e.Commands.Again(ctx, c, "its actuator does not run here", e.Clock.Now().Add(elsewhere), true)
	}
	if !in.Manifest.Executes(c.Kind) {
		return e.Commands.Park(ctx, c, "version "+in.Manifest.Version+" does not carry out "+c.Kind, e.Clock.Now())
	}
	began := e.Clock.Now()
	receipt, err := executor.Execute(ctx, actuation.Command{
		IdempotencyKey: c.ID, Kind: c.Kind, PartnerID: c.Tenant.PartnerID, MerchantID: c.Tenant.MerchantID, Mode: c.Tenant.Mode,
		CommittedAt: c.CommittedAt, Attempt: c.Attempts, Payload: c.Payload, Settings: in.Settings,
	})
	if err == nil {
		err = receipt.Storable()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // the server is stopping: it is due again when its lease ends
	case err == nil:
		return e.Commands.Finish(ctx, c, receipt, e.Clock.Now())
	}
	every := time.Duration(0)
	if c.Scheduled {
		every = in.Manifest.Every(c.Kind)
	}
	after, again := actuation.Retry(c.Attempts, err, every)
	if !again {
		return e.Commands.Park(ctx, c, Cause(err), e.Clock.Now())
	}
	return e.Commands.Again(ctx, c, Cause(err), began.Add(after), false)
}
