package tenancy

import (
	"context"
	"log/slog"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/tenancy"
)

// PollEvery is how often a server asks what other servers changed: often
// enough that a revocation holds everywhere within a second.
const PollEvery = 500 * time.Millisecond

// changesKept is how long the log of changes is kept. A watcher that did not
// hear anything for longer forgets everything instead.
const changesKept = time.Hour

// Watcher follows the log of changes and tells its listener what to forget.
// One goroutine per Watcher.
type Watcher struct {
	q        pg.Q
	listener tenancy.Listener
	log      *slog.Logger
	// every is PollEvery.
	every time.Duration
	// horizon is the oldest transaction that was running at the last poll; nil
	// before the first. What is older was seen or was there before us.
	horizon *string
	// told are the positions at or above the horizon that were told already.
	told map[int64]bool
	// polled is the time of the last poll that worked.
	polled time.Time
}

// NewWatcher returns a watcher over the pool db. Call Run, or Poll from time to time.
func NewWatcher(db *pg.DB, listener tenancy.Listener, log *slog.Logger) *Watcher {
	return &Watcher{q: db.Q(), listener: listener, log: log, every: PollEvery, told: map[int64]bool{}}
}

// Run polls until ctx ends. A database that is away is reported once when it
// goes and once when it is back; nothing is lost meanwhile.
func (w *Watcher) Run(ctx context.Context) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	away := false
	for {
		err := w.Poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !away:
			w.log.WarnContext(ctx, "cannot follow changes of keys and merchants; caches may be stale until the database is back", "cause", err)
		case err == nil && away:
			w.log.InfoContext(ctx, "following changes of keys and merchants again")
		}
		away = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

type changeRow struct {
	Horizon  string
	Position *int64
	Kind, ID *string
}

// poll reads the horizon and, in the same snapshot, the changes at or above the
// last one. There is a row without a change where there was none.
const poll = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, c.position, c.kind, c.id
	FROM (VALUES (true)) AS always LEFT JOIN tenancy_changes c ON c.xid >= coalesce($1::xid8, pg_snapshot_xmin(pg_current_snapshot())) ORDER BY c.position`

// Poll tells the listener what changed since the last Poll; the first one finds
// out where the log stands and says that anything may have changed.
func (w *Watcher) Poll(ctx context.Context) error {
	started := time.Now()
	rows, err := pg.Many[changeRow](ctx, w.q, poll, w.horizon)
	if err != nil {
		return err
	}
	missed := started.Sub(w.polled) > changesKept/2 // so it is the first time
	if missed {
		w.listener.Changed(tenancy.Change{Kind: tenancy.ChangeAll})
	}
	w.polled = started
	w.tell(rows, missed)
	return nil
}

// tell passes on what was not told yet, or only takes note of it where all was
// forgotten anyway.
func (w *Watcher) tell(rows []changeRow, silently bool) {
	told := map[int64]bool{}
	for _, r := range rows {
		w.horizon = &r.Horizon
		if r.Position == nil {
			continue
		}
		if !silently && !w.told[*r.Position] {
			w.listener.Changed(tenancy.Change{Kind: tenancy.ChangeKind(*r.Kind), ID: *r.ID})
		}
		told[*r.Position] = true
	}
	w.told = told
}

// sweepChanges deletes the part of the log that every server has read.
func (s *Store) sweepChanges(ctx context.Context) error {
	_, err := s.q.Exec(ctx, `DELETE FROM tenancy_changes WHERE at < now() - make_interval(secs => $1)`, changesKept.Seconds())
	return err
}
