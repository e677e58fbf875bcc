package payments

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
)

// Defaults of a Pipeline.
const (
	// DefaultQueue is how many payments may wait.
	DefaultQueue = 1024
	// DefaultBatch is how many travel together at most.
	DefaultBatch = 100
	// DefaultWorkers saturate two cores; each needs a connection of the journal.
	DefaultWorkers = 2
	// DefaultTimeout bounds each of the three steps of a batch.
	DefaultTimeout = 5 * time.Second
)

// Pipeline takes debits in batches: whatever waits when a worker is free
// travels together, in three round trips for all (read, plan, commit), and
// nothing ever waits for a batch to fill. Each caller gets its own outcome.
//
// Payments on one wallet, in one session, or with one key follow each other;
// all others are independent. Planning happens outside any transaction, and
// each actuator's payments are a batch of their own, so that a slow actuator
// delays nobody else.
type Pipeline struct {
	Journal Journal
	Planner *actuation.Planner
	Clock   clock.Clock
	IDs     *ids.Source
	// Wake, where set, hears after each commit that events were written. It must
	// not block.
	Wake func()
	// Queue, Batch, Workers and Timeout; zero means the default.
	Queue, Batch, Workers int
	Timeout               time.Duration

	jobs   chan *job
	inside atomic.Int64 // jobs in the pipeline, waiting or at work
	limit  int64
	locks  locks
	// closing is read-locked by who submits, so that none comes after Stop.
	closing sync.RWMutex
	closed  bool
	work    sync.WaitGroup // workers and groups at work
	inbox   sync.WaitGroup // jobs inside
}

// Start begins to work. Call it once, before the first payment.
func (p *Pipeline) Start() {
	p.Queue, p.Batch, p.Workers = or(p.Queue, DefaultQueue), or(p.Batch, DefaultBatch), or(p.Workers, DefaultWorkers)
	if p.Timeout == 0 {
		p.Timeout = DefaultTimeout
	}
	// What is at work is not waiting: the queue is full when Queue wait beside it.
	p.limit = int64(p.Queue + p.Workers*p.Batch)
	// A job is in the channel once at most, so that sending never blocks.
	p.jobs = make(chan *job, p.limit)
	for range p.Workers {
		p.work.Go(p.worker)
	}
}

// Stop refuses new payments, finishes those inside, and ends the workers. It
// may be called more than once.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	already := p.closed
	p.closed = true
	p.closing.Unlock()
	if !already {
		p.inbox.Wait()
		close(p.jobs)
	}
	p.work.Wait()
}

// Depth is how many payments are inside, waiting or at work.
func (p *Pipeline) Depth() int64 { return p.inside.Load() }

func or(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}

// submit sends j through and waits for its outcome. It does not give up before
// the outcome is known: each step has a deadline of its own.
// Errors of its own: OVERLOADED, SUBSYSTEM_DEGRADED while stopping.
func (p *Pipeline) submit(j *job) outcome {
	done := j.done
	if err := p.enter(j); err != nil {
		return outcome{err: err}
	}
	o := <-done
	p.inside.Add(-1)
	p.inbox.Done()
	return o
}

func (p *Pipeline) enter(j *job) error {
	p.closing.RLock()
	defer p.closing.RUnlock()
	if p.closed {
		return fault.New(fault.CodeSubsystemDegraded, "the server is shutting down; retry with the same key").After(time.Second)
	}
	if p.inside.Add(1) > p.limit {
		p.inside.Add(-1)
		return fault.New(fault.CodeOverloaded, "too many payments wait; retry with the same key").After(time.Second)
	}
	p.inbox.Add(1)
	j.scope()
	p.jobs <- j
	return nil
}

func (p *Pipeline) worker() {
	batch := make([]*job, 0, p.Batch)
	for first := range p.jobs {
		batch = append(batch[:0], first)
		for len(batch) < p.Batch {
			select {
			case j, ok := <-p.jobs:
				if ok {
					batch = append(batch, j)
					continue
				}
			default:
			}
			break
		}
		p.round(batch)
	}
}

// round takes a batch from the queue to its outcomes.
func (p *Pipeline) round(batch []*job) {
	ready := batch[:0]
	for _, j := range batch {
		switch {
		case j.ctx.Err() != nil:
			p.finish(j, outcome{err: deadline(j.ctx.Err())})
		case p.claim(j, keyClaim(j.want.Scope)):
			ready = append(ready, j)
		}
	}
	if len(ready) == 0 {
		return
	}
	now := p.Clock.Now()
	if ready = p.read(ready, now); len(ready) == 0 {
		return
	}
	p.plan(ready, now)
}

// read reads what the jobs rest on and returns those that may be planned; the
// others have their outcome or wait for a wallet or session.
func (p *Pipeline) read(batch []*job, now time.Time) []*job {
	wants := make([]Want, len(batch))
	for i, j := range batch {
		wants[i] = j.want
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	defer cancel()
	var states []State
	err := guard(func() (err error) {
		states, err = p.Journal.Read(ctx, wants, now)
		return err
	})
	if err != nil {
		for _, j := range batch {
			p.finish(j, outcome{err: err})
		}
		return nil
	}
	ready := batch[:0]
	for i, j := range batch {
		j.state = states[i]
		if err := guard(func() error { return j.judge(now, p.IDs) }); err != nil {
			p.finish(j, outcome{err: err})
			continue
		}
		if p.claim(j, sessionClaim(j.want)) && p.claim(j, walletClaim(j.state.Wallet)) {
			ready = append(ready, j)
		}
	}
	return ready
}

// plan asks the actuators and commits. Every actuator's group goes its own
// way; the worker itself takes the last one.
func (p *Pipeline) plan(batch []*job, now time.Time) {
	snapshots := make([]actuation.Snapshot, len(batch))
	for i, j := range batch {
		snapshots[i] = j.snapshot
	}
	groups := p.Planner.Groups(snapshots)
	for i, g := range groups {
		jobs := make([]*job, len(g.Positions))
		for k, at := range g.Positions {
			jobs[k] = batch[at]
		}
		if i == len(groups)-1 {
			p.group(g, jobs, now)
			return
		}
		p.work.Go(func() { p.group(g, jobs, now) })
	}
}

func (p *Pipeline) group(g *actuation.Group, jobs []*job, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	plans := g.Plan(ctx)
	cancel()
	ready, postings := jobs[:0], make([]Posting, 0, len(jobs))
	for i, j := range jobs {
		j.plan = plans[i]
		var posting Posting
		err := guard(func() (err error) {
			posting, err = j.decide(now, p.IDs)
			return err
		})
		switch d := (*declined)(nil); {
		case errors.As(err, &d):
			p.finish(j, outcome{declined: d})
		case err != nil:
			p.finish(j, outcome{err: err})
		default:
			ready, postings = append(ready, j), append(postings, posting)
		}
	}
	if len(ready) > 0 {
		p.commit(ready, postings, now)
	}
}

// commit writes the postings. Where that fails because of one of them, it
// splits the batch until the bad one stands alone: all others are written.
func (p *Pipeline) commit(jobs []*job, postings []Posting, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	err := guard(func() error { return p.Journal.Commit(ctx, postings, now) })
	cancel()
	switch {
	case err == nil:
		for _, j := range jobs {
			p.finish(j, outcome{result: j.result})
		}
		if p.Wake != nil {
			p.Wake()
		}
	case fault.Is(err, fault.CodeSubsystemDegraded), fault.Is(err, fault.CodeDeadlineExceeded):
		for _, j := range jobs {
			p.finish(j, outcome{err: err})
		}
	case len(jobs) > 1:
		half := len(jobs) / 2
		p.commit(jobs[:half], postings[:half], now)
		p.commit(jobs[half:], postings[half:], now)
	case errors.Is(err, ErrStale):
		p.again(jobs[0], err)
	default:
		p.finish(jobs[0], outcome{err: fault.As(err)})
	}
}

// again sends a payment that lost a race back to be decided anew. It keeps its
// claims: nobody in this process overtakes it.
func (p *Pipeline) again(j *job, cause error) {
	if j.tries++; j.tries >= maxTries {
		p.finish(j, outcome{err: fault.New(fault.CodeSubsystemDegraded,
			"others work on the same wallet or session; nothing was changed; retry with the same key").After(time.Second).Because(cause)})
		return
	}
	p.jobs <- j
}

// finish answers a job, once, and lets those go on who waited for it.
func (p *Pipeline) finish(j *job, o outcome) {
	if j.done == nil {
		return
	}
	done := j.done
	j.done = nil
	for _, next := range p.locks.release(j) {
		p.jobs <- next
	}
	done <- o
}

func (p *Pipeline) claim(j *job, c claim) bool { return c == claim{} || p.locks.take(j, c) }

// guard turns a panic, which is a defect, into the failure of those at hand;
// the worker goes on.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.Internal(fmt.Errorf("panic in the payment pipeline: %v\n%s", r, debug.Stack()))
		}
	}()
	return f()
}

func deadline(cause error) error {
	return fault.New(fault.CodeDeadlineExceeded, "the time ran out before the payment was taken; nothing was changed; retry with the same key").Because(cause)
}
