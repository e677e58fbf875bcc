// Package jobs lets several servers share background jobs: each run is taken
// under a lease, judged by the database's clock.
package jobs

import (
	"context"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
)

// Leases are the leases of all jobs.
type Leases struct{ q pg.Q }

// New returns the leases on q.
func New(q pg.Q) *Leases { return &Leases{q} }

const take = `
insert into job_leases as l (job, holder, leased_until, last_run_at)
values ($1, $2, now() + make_interval(secs => $3), now())
on conflict (job) do update set holder = $2, leased_until = excluded.leased_until, last_run_at = now()
where l.leased_until < now() and l.last_run_at <= now() - make_interval(secs => $4)`

// Take gives holder one run of job, for at most ttl. It is false where another
// holder is running it, or ran it less than every ago.
func (l *Leases) Take(ctx context.Context, job, holder string, ttl, every time.Duration) (bool, error) {
	n, err := l.q.Exec(ctx, take, job, holder, ttl.Seconds(), every.Seconds())
	return n == 1, err
}

// Done ends the run, so that the next one may begin when it is due.
func (l *Leases) Done(ctx context.Context, job, holder string) error {
	_, err := l.q.Exec(ctx, `update job_leases set leased_until = '-infinity' where job = $1 and holder = $2`, job, holder)
	return err
}
