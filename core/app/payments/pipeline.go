package payments

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
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
	// DefaultTimeout bounds each of the three steps of a batch.
	DefaultTimeout = 5 * time.Second
)

// Pipeline takes debits in batches, in two stages: a planner reads and plans
// those that wait, two round trips for all; the committer commits what is decided,
// one round trip for all. While one half of the payments is being committed, the
// other half is planned (see lane.gather). Nothing waits for a batch to fill unless
// it would have to wait for the committer anyway. Each caller gets its own outcome.
//
// Payments on one wallet, in one session, or with one key follow each other;
// all others are independent. Planning happens outside any transaction, and
// each actuator has a lane of its own, with its own queue and stages, so that a
// merchant's slow actuator delays that merchant only.
type Pipeline struct {
	Journal Journal
	Planner *actuation.Planner
	Clock   clock.Clock
	IDs     *ids.Source
	// Wake, where set, hears after each commit that events were written. It must
	// not block.
	Wake func()
	// Queue and Batch of a lane, and Timeout; zero means the default.
	Queue, Batch int
	Timeout      time.Duration

	locks locks
	calm  calm
	// closing is read-locked by who submits, so that none comes after Stop.
	closing sync.RWMutex
	open    bool
	lanes   map[string]*lane // by actuator
	making  sync.Mutex       // guards lanes
	work    sync.WaitGroup   // stages
	inbox   sync.WaitGroup   // jobs inside
}

// Start begins to work. Call it once, before the first payment.
func (p *Pipeline) Start() {
	p.Queue, p.Batch = or(p.Queue, DefaultQueue), or(p.Batch, DefaultBatch)
	if p.Timeout == 0 {
		p.Timeout = DefaultTimeout
	}
	p.closing.Lock()
	defer p.closing.Unlock()
	p.lanes, p.open = map[string]*lane{}, true
}

// Stop refuses new payments, finishes those inside, and ends the workers. It
// may be called more than once.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	ending := p.open
	p.open = false
	p.closing.Unlock()
	if ending {
		p.inbox.Wait()
		for _, l := range p.lanes {
			close(l.jobs)
		}
	}
	p.work.Wait()
}

// Depth is how many payments are inside, waiting or at work.
func (p *Pipeline) Depth() int64 {
	p.making.Lock()
	defer p.making.Unlock()
	var n int64
	for _, l := range p.lanes {
		n += l.inside.Load()
	}
	return n
}

// lane is the one of the actuator that serves a merchant. Where none does, its
// payments fail in a lane of their own as soon as they are planned.
func (p *Pipeline) lane(merchantID string) *lane {
	name := ""
	if a, err := p.Planner.Registry.For(actuation.KindWalletDebit, merchantID); err == nil {
		name = a.Manifest().Name
	}
	p.making.Lock()
	defer p.making.Unlock()
	l := p.lanes[name]
	if l == nil {
		// What is at work is not waiting: the queue is full when Queue wait beside it.
		l = newLane(p.Queue + p.Batch)
		p.lanes[name] = l
		p.work.Go(func() { p.committer(l) })
		p.work.Go(func() {
			p.planner(l)
			close(l.decided)
		})
	}
	return l
}

// idle is how many payments may be inside while work that can wait goes on, and
// lasting is how long after a busy time that has to be so.
const (
	idle    = 1
	lasting = 5 * time.Millisecond
)

// calm lets work that can wait hear that hardly any payment is inside.
type calm struct {
	waiting atomic.Int32
	mu      sync.Mutex
	bell    chan struct{}
}

// next is closed when it is calm. Every next has its leave.
func (c *calm) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bell == nil {
		c.bell = make(chan struct{})
	}
	c.waiting.Add(1)
	return c.bell
}

func (c *calm) leave() { c.waiting.Add(-1) }

func (c *calm) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bell != nil {
		close(c.bell)
		c.bell = nil
	}
}

// GiveWay waits while payments queue, for work that can come after them: until
// hardly any is inside, or until most is over.
func (p *Pipeline) GiveWay(ctx context.Context, most time.Duration) {
	if most <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for ctx.Err() == nil {
		calm := p.calm.next()
		if p.Depth() <= idle {
			p.calm.leave()
			return
		}
		select {
		case <-calm:
			// Between two batches hardly any is inside, too: it has to last.
			last, done := context.WithTimeout(ctx, lasting)
			<-last.Done()
			done()
		case <-ctx.Done():
		}
		p.calm.leave()
	}
}

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
	j.lane.inside.Add(-1)
	p.inbox.Done()
	if p.calm.waiting.Load() > 0 && p.Depth() <= idle {
		p.calm.ring()
	}
	return o
}

func (p *Pipeline) enter(j *job) error {
	p.closing.RLock()
	defer p.closing.RUnlock()
	if !p.open {
		return fault.New(fault.CodeSubsystemDegraded, "the server is not taking payments just now; retry with the same key").After(time.Second)
	}
	j.lane = p.lane(j.call.Tenant.MerchantID)
	if j.lane.inside.Add(1) > j.lane.limit {
		j.lane.inside.Add(-1)
		return fault.New(fault.CodeOverloaded, "too many payments wait; retry with the same key").After(time.Second)
	}
	p.inbox.Add(1)
	j.scope()
	j.lane.jobs <- j
	return nil
}

// planner reads and plans the payments of a lane until it is closed.
func (p *Pipeline) planner(l *lane) {
	var batch []*job
	for first := range l.jobs {
		batch = l.gather(append(batch[:0], first), p.Batch)
		p.round(batch)
	}
}

// round reads and plans a batch; what is decided goes to the committer.
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
	turn := p.locks.now()
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
			p.refuse(j, err)
			continue
		}
		session, wallet := sessionClaim(j.want), walletClaim(j.state.Wallet)
		if !p.claim(j, session) || !p.claim(j, wallet) {
			continue
		}
		if p.locks.letSince(session, turn) || p.locks.letSince(wallet, turn) {
			j.lane.jobs <- j // read while it changed: again, now that it is j's
			continue
		}
		ready = append(ready, j)
	}
	return ready
}

// refuse answers a refusal, unless the same call was answered before: then what
// that one did is no reason to refuse its repetition. So the key is looked up
// first, in a round of its own.
func (p *Pipeline) refuse(j *job, err error) {
	if j.want.LookUp || j.call.Pin == nil {
		p.finish(j, outcome{err: err})
		return
	}
	j.want.LookUp = true
	j.lane.jobs <- j
}

// plan asks the actuator for all plans at once and commits what they decide.
func (p *Pipeline) plan(batch []*job, now time.Time) {
	snapshots := make([]actuation.Snapshot, len(batch))
	for i, j := range batch {
		snapshots[i] = j.snapshot
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	var plans []actuation.Outcome
	err := guard(func() error {
		plans = p.Planner.Plan(ctx, snapshots)
		return nil
	})
	cancel()
	if err != nil {
		for _, j := range batch {
			p.finish(j, outcome{err: err})
		}
		return
	}
	ready := make([]*job, 0, len(batch)) // the committer's: the batch is used again meanwhile
	for i, j := range batch {
		j.plan = plans[i]
		err := guard(func() (err error) {
			j.posting, err = j.decide(now, p.IDs)
			return err
		})
		switch d := (*declined)(nil); {
		case errors.As(err, &d):
			p.finish(j, outcome{declined: d})
		case err != nil:
			p.finish(j, outcome{err: err})
		default:
			ready = append(ready, j)
		}
	}
	if len(ready) > 0 {
		ready[0].lane.decide(ready)
	}
}

// committer commits what is decided, as much at a time as there is.
func (p *Pipeline) committer(l *lane) {
	var batch []*job
	for first := range l.decided {
		batch = l.settled(append(batch[:0], first...), p.Batch)
		for some := range slices.Chunk(batch, p.Batch) {
			p.commit(some)
		}
		l.committed(len(batch))
	}
}

// commit writes what is decided. Where that fails because of one of them, it
// splits the batch until the bad one stands alone: all others are written.
func (p *Pipeline) commit(jobs []*job) {
	postings := make([]Posting, len(jobs))
	for i, j := range jobs {
		postings[i] = j.posting
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	err := guard(func() error { return p.Journal.Commit(ctx, postings) })
	cancel()
	switch {
	case err == nil:
		for _, j := range jobs {
			p.finish(j, outcome{result: &j.result})
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
		p.commit(jobs[:half])
		p.commit(jobs[half:])
	case errors.Is(err, ErrStale):
		p.again(jobs[0], err)
	default:
		p.finish(jobs[0], outcome{err: fault.As(err)})
	}
}

// again sends a payment that lost a race back to be decided anew. It keeps its
// claims: nobody in this process overtakes it.
func (p *Pipeline) again(j *job, cause error) {
	j.want.LookUp = j.call.Pin != nil // it may be the key that somebody else was faster with
	if j.tries++; j.tries >= maxTries {
		p.finish(j, outcome{err: fault.New(fault.CodeSubsystemDegraded,
			"others work on the same wallet or session; nothing was changed; retry with the same key").After(time.Second).Because(cause)})
		return
	}
	j.lane.jobs <- j
}

// finish answers a job, once, and lets those go on who waited for it.
func (p *Pipeline) finish(j *job, o outcome) {
	if j.done == nil {
		return
	}
	done := j.done
	j.done = nil
	for _, next := range p.locks.release(j) {
		next.lane.jobs <- next
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
