package journal

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// PreparedStatement is one prepared statement of a connection.
type PreparedStatement struct {
	Statement       string
	Generic, Custom int64 // how often it ran by which kind of plan
}

// Prepared lists what the journal prepared.
func (j *Journal) Prepared(ctx context.Context) ([]PreparedStatement, error) {
	var out []PreparedStatement
	for _, c := range append(j.reads.Pool().AcquireAllIdle(ctx), j.commits.Pool().AcquireAllIdle(ctx)...) {
		rows, err := c.Query(ctx, "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var p PreparedStatement
			if err := rows.Scan(&p.Statement, &p.Generic, &p.Custom); err != nil {
				return nil, err
			}
			if !known(out, p.Statement) {
				out = append(out, p)
			}
		}
		c.Release()
	}
	return out, nil
}

func known(list []PreparedStatement, statement string) bool {
	for _, p := range list {
		if p.Statement == statement {
			return true
		}
	}
	return false
}

// CommitLost commits a debit of a wallet that is no longer where it was read.
func (j *Journal) CommitLost(ctx context.Context) error {
	var c columns
	w := &c.wallet
	w.place.place(pgtype.TID{Valid: true})
	w.tenant.int4(1)
	w.id.text("cus_gone")
	for _, a := range []*array{&w.version, &w.actual, &w.promo, &w.locked} {
		a.int8(1)
	}
	w.at.time(time.Now())
	s := c.commit()
	return j.commits.ExecBinary(ctx, s.name, s.sql, s.binary(&c))
}

// Plans gives the plans of the hot statements, of many payments and of one, as the
// journal's connections make them.
func (j *Journal) Plans(t testing.TB) string {
	t.Helper()
	all := uint(1<<len(parts) - 1)
	var b strings.Builder
	for _, r := range []read{readStatement, lookUpStatement} {
		b.WriteString(pgtest.Plan(t, j.reads.Q(), r.many) + "\n" + pgtest.Plan(t, j.reads.Q(), r.one) + "\n")
	}
	for _, ones := range []uint{0, 1<<len(relations) - 1} {
		b.WriteString(pgtest.Plan(t, j.commits.Q(), commitOf(shape{all, ones}).sql) + "\n")
	}
	return b.String()
}
