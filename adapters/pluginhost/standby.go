package pluginhost

import (
	"context"
	"sync"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost/restart"
	"github.com/feddi/feddi/core/clock"
)

// settle is how long a standby is waited with after a process began to serve:
// those who call come first, and a start takes a processor for 50 ms.
const settle = 100 * time.Millisecond

// standby keeps a second process of an actuator ready, so that the death of the
// first costs callers no start. Its own failures change no state: what serves
// goes on serving.
type standby struct {
	*actuator

	ready chan *process // holds the one that is ready; whoever takes it owns it

	mu       sync.Mutex
	starting chan struct{} // closed when the start that is going on has ended
}

func newStandby(a *actuator) *standby {
	done := make(chan struct{})
	close(done)
	return &standby{actuator: a, ready: make(chan *process, 1), starting: done}
}

// glance bounds how long a standby is looked at before it takes over.
const glance = 20 * time.Millisecond

// take returns the one that is ready, nil where none is, or where it died with
// the other one. The next one is started after rest at the earliest.
func (s *standby) take(ctx context.Context, rest time.Duration) *process {
	var p *process
	select {
	case p = <-s.ready:
	default:
		return nil
	}
	s.spare.Store(0)
	p.rest = rest
	defer close(p.taken)
	// Late is not dead: on a busy machine it still is sooner than a start.
	if err := p.ping(ctx, glance); err != nil && gone(err) {
		s.host.wg.Go(p.discard)
		return nil
	}
	return p
}

// await is take, once the start that is going on has ended.
func (s *standby) await(ctx context.Context) *process {
	s.mu.Lock()
	starting := s.starting
	s.mu.Unlock()
	<-starting
	return s.take(ctx, 0)
}

// run keeps a standby until ctx ends.
func (s *standby) run(ctx context.Context) {
	retry := s.host.cfg.retries()
	for rest := time.Duration(0); clock.Wait(ctx, settle+rest); {
		rest = s.keep(ctx, retry)
	}
}

// keep starts one, minds it until it is taken or of no use, and returns how long
// to wait with the next.
func (s *standby) keep(ctx context.Context, retry *restart.Retries) time.Duration {
	p, err := s.warm(ctx)
	if err == nil {
		err = s.mind(ctx, p)
		select {
		case <-s.ready: // nobody can take it any more
			s.spare.Store(0)
			if ctx.Err() != nil {
				p.end() // nothing is wrong with it: it is asked to go
			} else {
				p.discard()
			}
		default:
			<-p.taken
			return p.rest
		}
	}
	if ctx.Err() != nil {
		return 0
	}
	s.log.Warn("the actuator's standby is down", "cause", err)
	lack := "it has no standby: " + err.Error()
	s.unbacked.Store(&lack)
	rest, _ := retry.After(p.since(), hopeless(err), time.Now())
	return rest
}

// warm starts one and makes it ready to be taken.
func (s *standby) warm(ctx context.Context) (*process, error) {
	ended := make(chan struct{})
	defer close(ended)
	s.mu.Lock()
	s.starting = ended
	s.mu.Unlock()
	p, err := s.spawn(ctx)
	if err != nil {
		return nil, err
	}
	s.unbacked.Store(nil)
	s.spare.Store(int64(p.cmd.Process.Pid))
	s.ready <- p
	return p, nil
}

// mind returns nil when p is taken, and else why it is of no use.
func (s *standby) mind(ctx context.Context, p *process) error {
	ticker := time.NewTicker(s.host.cfg.PingEvery)
	defer ticker.Stop()
	pulse := pulse{actuator: s.actuator, process: p}
	for {
		select {
		case <-p.taken:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-p.lost:
			return errLost
		case <-ticker.C:
			if err := pulse.check(ctx); err != nil {
				return err
			}
		}
	}
}
