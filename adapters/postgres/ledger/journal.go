package ledger

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/payments"
)

// Journal implements payments.Journal: two statements, both set-based and
// prepared, each one round trip for any number of payments. It has a few
// connections of its own, so that nothing else can keep payments waiting, and
// plans its statements once per connection.
type Journal struct {
	db *pg.DB
	q  pg.Q
}

var _ payments.Journal = (*Journal)(nil)

// planner settings of the journal's connections. Its statements look up a
// hundred rows at most, always by key. A plan made while a table was small
// would scan it for ever after, so index look-ups are all it may choose; the
// plan is generic, because planning costs more than running it.
var planner = [][2]string{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"enable_bitmapscan", "off"},
	{"jit", "off"},
}

// OpenJournal opens a journal on the database of db, with conns connections
// (one per worker of the pipeline; more gain nothing). Close it.
func OpenJournal(ctx context.Context, db *pg.DB, conns int32) (*Journal, error) {
	own, err := pg.Connect(ctx, withSettings(db.DSN()), pg.Options{MaxConns: conns, ApplicationName: "feddi payments"})
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return &Journal{db: own, q: own.Q()}, nil
}

// withSettings adds the planner settings to a DSN of either form.
func withSettings(dsn string) string {
	if !strings.Contains(dsn, "://") {
		for _, s := range planner {
			dsn += " " + s[0] + "=" + s[1]
		}
		return dsn
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn // Connect says what is wrong with it
	}
	values := u.Query()
	for _, s := range planner {
		values.Set(s[0], s[1])
	}
	u.RawQuery = values.Encode()
	return u.String()
}

// Close ends the journal's connections.
func (j *Journal) Close() { j.db.Close() }

// Commit implements payments.Journal.
func (j *Journal) Commit(ctx context.Context, batch []payments.Posting, now time.Time) error {
	var c columns
	c.grow(len(batch))
	for i := range batch {
		if err := c.add(&batch[i]); err != nil {
			return err
		}
	}
	_, err := j.q.Exec(ctx, commitStatement, c.args(now)...)
	if err != nil && pg.Retryable(err) {
		return fmt.Errorf("%w: %v", payments.ErrStale, err) // not wrapped: it is no failure yet
	}
	return err
}
