package payments

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// lane is where the payments that one actuator plans travel. It has a planner and
// a committer.
type lane struct {
	// jobs wait to be planned, decided ones to be committed. Each holds a job once
	// at most, and has room for all that may be inside, so that sending never blocks.
	jobs    chan *job
	decided chan []*job  // as they were planned, so that none is committed ahead of the others
	inside  atomic.Int64 // waiting or at work
	limit   int64

	ahead atomic.Int64  // decided and not committed yet
	free  chan struct{} // holds a token when the committer became free since the planner looked
	crowd int64         // how many were inside lately; the planner's
}

// newLane makes a lane for limit payments.
func newLane(limit int) *lane {
	return &lane{limit: int64(limit), jobs: make(chan *job, limit), decided: make(chan []*job, limit), free: make(chan struct{}, 1)}
}

// patience is how long the planner lets others come at most: what it may refuse
// has its answer soon, whatever keeps the committer.
const patience = 20 * time.Millisecond

// gather adds to a batch what waits, up to most.
//
// While others are being committed, a few payments planned at once would only wait
// for the committer, and each batch costs its statements whatever its size. So the
// planner lets come what is on its way until half of those that were inside lately
// are in its hands, the other half being what is committed, or until the committer
// is free. Two batches then take turns; without that there are many small ones
// between large ones.
func (l *lane) gather(batch []*job, most int) []*job {
	runtime.Gosched() // those who are about to hand theirs in do so
	l.crowd = max(l.inside.Load(), l.crowd-(l.crowd+15)/16)
	batch = l.waiting(batch, most)
	enough := min(int(l.crowd/2), most)
	if len(batch) >= enough || l.ahead.Load() == 0 {
		return batch
	}
	late, done := context.WithTimeout(context.Background(), patience)
	defer done()
	for len(batch) < enough && l.ahead.Load() > 0 {
		select {
		case j := <-l.jobs: // open as long as one is in hand
			batch = append(batch, j)
		case <-l.free:
		case <-late.Done():
			return batch
		}
	}
	return l.waiting(batch, most)
}

// waiting adds to a batch what waits now, up to most.
func (l *lane) waiting(batch []*job, most int) []*job {
	for len(batch) < most {
		j, ok := atOnce(l.jobs)
		if !ok {
			break
		}
		batch = append(batch, j)
	}
	return batch
}

// decide hands a batch to the committer.
func (l *lane) decide(batch []*job) {
	l.ahead.Add(int64(len(batch)))
	l.decided <- batch
}

// settled adds to a batch what is decided now, until it has most or more.
func (l *lane) settled(batch []*job, most int) []*job {
	for len(batch) < most {
		more, ok := atOnce(l.decided)
		if !ok {
			break
		}
		batch = append(batch, more...)
	}
	return batch
}

// atOnce receives what is there already; false where nothing is.
func atOnce[T any](from <-chan T) (v T, ok bool) {
	select {
	case v, ok = <-from:
	default:
	}
	return v, ok
}

// committed tells the planner how many are no longer ahead of it.
func (l *lane) committed(n int) {
	if l.ahead.Add(-int64(n)) > 0 {
		return
	}
	select {
	case l.free <- struct{}{}:
	default:
	}
}
