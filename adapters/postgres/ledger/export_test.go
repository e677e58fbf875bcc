package ledger

import (
	"context"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/payments"
)

// PreparedStatement is one prepared statement of a connection.
type PreparedStatement struct {
	Statement       string
	Generic, Custom int64 // how often it ran by which kind of plan
}

// Prepared lists what the journal prepared, on one of its connections.
func (j *Journal) Prepared(ctx context.Context) ([]PreparedStatement, error) {
	var out []PreparedStatement
	for _, c := range j.db.Pool().AcquireAllIdle(ctx) {
		rows, err := c.Query(ctx, "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var p PreparedStatement
			if err := rows.Scan(&p.Statement, &p.Generic, &p.Custom); err != nil {
				return nil, err
			}
			if len(out) == 0 || !known(out, p.Statement) {
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

// Explain gives the generic plans of both hot statements.
func (j *Journal) Explain(ctx context.Context) (string, error) {
	var b strings.Builder
	var c columns
	for statement, args := range map[string][]any{
		readStatement: wantColumns(make([]payments.Want, 1), time.Now()), commitStatement: c.args(time.Now()),
	} {
		lines, err := pg.Many[string](ctx, j.q, "EXPLAIN "+statement, args...)
		if err != nil {
			return "", err
		}
		b.WriteString(strings.Join(lines, "\n"))
	}
	return b.String(), nil
}
