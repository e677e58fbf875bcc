package system

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/feddi/feddi/adapters/postgres/jobs"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/privacy"
)

// job is background work that the servers of one database share.
type job struct {
	name  string
	every time.Duration
	// run does a bounded piece of it and says how many items it dealt with; a
	// full piece is followed by the next at once.
	run func(ctx context.Context, limit int) (int, error)
}

const (
	// jobPiece is how many items one piece of a job deals with at most.
	jobPiece = 500
	// jobLease is how long a silent server keeps a job from the others.
	jobLease = time.Minute
)

// longer are the leases of jobs of which one item may take longer than others.
var longer = map[string]time.Duration{"gdpr.requests": privacy.Lease}

// lease is how long a job is one server's.
func (j job) lease() time.Duration {
	if lease, ok := longer[j.name]; ok {
		return lease
	}
	return jobLease
}

// scheduler runs jobs under leases.
type scheduler struct {
	leases *jobs.Leases
	holder string
	log    *slog.Logger
}

// run runs one job until ctx ends. Servers begin at random, so that they do
// not all ask at once.
func (s *scheduler) run(ctx context.Context, j job) {
	pause := time.Duration(rand.Float64() * float64(min(j.every, time.Second)))
	for clock.Wait(ctx, pause) {
		pause = j.every
		taken, err := s.leases.Take(ctx, j.name, s.holder, j.lease(), j.every/2)
		if err == nil && taken {
			err = s.pieces(ctx, j)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("a background job failed and is tried again when it is due", "job", j.name, "error", err)
		}
	}
}

// pieces does a job piece by piece, for no longer than its lease.
func (s *scheduler) pieces(ctx context.Context, j job) error {
	ctx, cancel := context.WithTimeout(ctx, j.lease()*3/4)
	defer cancel()
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := s.leases.Done(end, j.name, s.holder); err != nil {
			s.log.Warn("a job's lease was not given back; it ends by itself", "job", j.name, "error", err)
		}
	}()
	return j.work(ctx)
}

// work does piece after piece until nothing is left, or until ctx ends: what is left
// then comes when the job is due again. Only a job that gets nowhere at all in its time
// has failed.
func (j job) work(ctx context.Context) error {
	for done := 0; ; {
		n, err := j.run(ctx, jobPiece)
		done += n
		if err != nil && ctx.Err() != nil && done > 0 {
			return nil
		}
		if err != nil || n < jobPiece {
			return err
		}
	}
}

// heartbeatsEvery is how often a server writes which terminals it heard of.
const heartbeatsEvery = 5 * time.Second

// writeHeartbeats writes them until ctx ends, and once more then. Each server
// writes what it heard itself: it is no job that one does for all.
func (s *System) writeHeartbeats(ctx context.Context) {
	for again := true; again; {
		again = clock.Wait(ctx, heartbeatsEvery)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeatsEvery)
		if err := s.Uses.Terminals.Flush(end); err != nil {
			s.Log.Warn("cannot write which terminals reported; will try again", "error", err)
		}
		cancel()
	}
}
