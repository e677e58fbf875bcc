// Package audit derives every balance from the postings again, in Postgres.
package audit

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
)

// Audit implements ledger.Audit: the database derives, only what differs is
// sent. It reads every tenant; it serves the operator.
//
// Checks that compare rows one by one go through large tables in parts, a range
// of ids at a time, so that neither side needs more memory for larger books;
// what has to be added up over all of a table is left to one statement, which
// the database spills to disk. Where there is more than one part, a few
// connections of its own share the work, all on one snapshot.
type Audit struct {
	db      *pg.DB
	part    int // rows
	workers int
	tell    func(share float64)
}

var _ ledger.Audit = Audit{}

// How large a part is, and how many work. A part is a second's work at most;
// two processes saturate the small machine that this was measured on, and four do
// not overwhelm a database that serves payments meanwhile.
const (
	defaultPart    = 100_000
	defaultWorkers = 4
)

// New returns the audit of db. Where the books are large, db should have been
// opened without a statement timeout.
func New(db *pg.DB) Audit {
	return Audit{db: db, part: defaultPart, workers: defaultWorkers, tell: func(float64) {}}
}

// Telling tells how much of the work is done, 0 to 1, from several goroutines, one
// at a time.
func (a Audit) Telling(tell func(share float64)) Audit {
	a.tell = tell
	return a
}

// InParts looks at so many rows at a time, with so many connections.
func (a Audit) InParts(rows, workers int) Audit {
	a.part, a.workers = max(rows, 1), max(workers, 1)
	return a
}

// Check implements ledger.Audit.
func (a Audit) Check(ctx context.Context, report func(ledger.Finding) error) (ledger.Examined, error) {
	var n ledger.Examined
	err := pgx.BeginTxFunc(ctx, a.db.Pool(), snapshot, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, bounds); err != nil {
			return err
		}
		tasks, err := a.plan(ctx, tx)
		if err != nil {
			return err
		}
		s := &shift{tasks: tasks, report: report, tell: a.tell}
		if err := a.work(ctx, tx, s); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM entries), (SELECT coalesce(sum(cardinality(amounts)), 0) FROM entries), (SELECT count(*) FROM wallets),
			(SELECT count(*) FROM grants), (SELECT count(*) FROM budgets)`).Scan(&n.Entries, &n.Postings, &n.Wallets, &n.Lots, &n.Budgets)
	})
	return n, pg.Map(err)
}

// snapshot is how each connection reads.
var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// bounds of a connection. Each part is planned for what it holds, and runs beside
// others instead of in parallel; who lends the snapshot may wait for the others.
const bounds = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
	set_config('work_mem', '64MB', true), set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),
	set_config('max_parallel_workers_per_gather', '0', true)`

// work does the tasks of a shift, on tx and, where there are parts, on further
// connections with its snapshot.
func (a Audit) work(ctx context.Context, tx pgx.Tx, s *shift) error {
	more := min(a.workers-1, len(s.tasks)-len(whole)-len(ofEntries)-len(ofPayments)) // where each table is one part, nobody
	if more <= 0 {
		return s.work(ctx, tx)
	}
	var name string
	if err := tx.QueryRow(ctx, `SELECT pg_export_snapshot()`).Scan(&name); err != nil {
		return err
	}
	var others sync.WaitGroup
	for range more {
		others.Go(func() {
			if err := a.join(ctx, name, s); err != nil {
				s.fail(err)
			}
		})
	}
	err := s.work(ctx, tx)
	others.Wait()
	if err != nil {
		return err
	}
	return s.err
}

// join works on a connection of its own: the pool's may all be taken by who waits
// for one more.
func (a Audit) join(ctx context.Context, name string, s *shift) error {
	conn, err := pgx.ConnectConfig(ctx, a.db.Pool().Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return pgx.BeginTxFunc(ctx, conn, snapshot, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+name+"'"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, bounds); err != nil {
			return err
		}
		return s.work(ctx, tx)
	})
}

// shift is the work that is left, shared by who does it.
type shift struct {
	mu     sync.Mutex
	tasks  []task
	next   int
	done   float64
	err    error
	report func(ledger.Finding) error
	tell   func(share float64)
}

// work does tasks until none is left, or one failed.
func (s *shift) work(ctx context.Context, tx pgx.Tx) error {
	for {
		t, ok := s.take()
		if !ok {
			return nil
		}
		if err := s.stream(ctx, tx, t); err != nil {
			s.fail(err)
			return err
		}
		s.finish(t)
	}
}

func (s *shift) take() (task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.next == len(s.tasks) {
		return task{}, false
	}
	s.next++
	return s.tasks[s.next-1], true
}

func (s *shift) finish(t task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := 0.0
	for _, t := range s.tasks {
		all += t.weight
	}
	s.done += t.weight
	s.tell(s.done / all)
}

func (s *shift) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *shift) stream(ctx context.Context, tx pgx.Tx, t task) error {
	rows, err := tx.Query(ctx, t.sql, t.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var f ledger.Finding
		if err := rows.Scan(&f.TenantNo, &f.What, &f.Account, &f.StoredMinor, &f.DerivedMinor); err != nil {
			return err
		}
		if err := s.tellOf(f); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *shift) tellOf(f ledger.Finding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report(f)
}
