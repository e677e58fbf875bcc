package journal

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/feddi/feddi/adapters/postgres/pg"
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

// Explain gives the generic plans of the hot statements, as the journal's
// connections make them.
func (j *Journal) Explain(ctx context.Context) (string, error) {
	var b strings.Builder
	for _, s := range []struct {
		db              *pg.DB
		name, statement string
	}{
		{j.reads, "reading", readStatement.many}, {j.reads, "looking_up", lookUpStatement.many}, {j.commits, "committing", commitOf(shape{parts: 1<<len(parts) - 1}).sql},
		{j.reads, "reading_one", readStatement.one}, {j.reads, "looking_one_up", lookUpStatement.one},
		{j.commits, "committing_one", commitOf(shape{1<<len(parts) - 1, 1<<len(relations) - 1}).sql},
	} {
		if err := explain(ctx, s.db, s.name, s.statement, &b); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func explain(ctx context.Context, db *pg.DB, name, statement string, b *strings.Builder) error {
	c, err := db.Pool().Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	d, err := c.Conn().Prepare(ctx, name, statement)
	if err != nil {
		return err
	}
	none := strings.TrimSuffix(strings.Repeat("NULL, ", len(d.ParamOIDs)), ", ")
	rows, err := c.Query(ctx, "EXPLAIN EXECUTE "+name+"("+none+")")
	if err != nil {
		return err
	}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		b.WriteString(line + "\n")
	}
	return rows.Err()
}
