package pg_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// BenchmarkPaths compares the ways to one small statement: Q, and bun on each
// mode that its pool could have (DefaultQueryExecMode in Options.apply).
func BenchmarkPaths(b *testing.B) {
	db := pgtest.New(b)
	for _, sql := range []string{
		"CREATE TABLE wallet (id text COLLATE \"C\" PRIMARY KEY, n bigint NOT NULL, at timestamptz NOT NULL DEFAULT now())",
		"INSERT INTO wallet (id, n) SELECT 'w' || i, i FROM generate_series(0, 9999) i",
	} {
		if _, err := db.Q().Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	type wallet struct {
		ID string
		N  int64
	}
	b.Run("Q", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := pg.One[wallet](b.Context(), db.Q(), "SELECT id, n FROM wallet WHERE id = $1", fmt.Sprintf("w%d", i%10000)); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec} {
		b.Run("bun/"+mode.String(), func(b *testing.B) {
			over := bunOver(b, db.DSN(), mode)
			for i := 0; b.Loop(); i++ {
				var w wallet
				if err := over.NewSelect().TableExpr("wallet").ColumnExpr("id, n").Where("id = ?", fmt.Sprintf("w%d", i%10000)).Scan(b.Context(), &w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Tx/Q", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			err := pg.Tx(b.Context(), db, func(ctx context.Context, q pg.Q) error {
				_, err := q.Exec(ctx, "UPDATE wallet SET n = n + 1 WHERE id = $1", fmt.Sprintf("w%d", i%10000))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Tx/pgx", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			err := pgx.BeginFunc(b.Context(), db.Pool(), func(tx pgx.Tx) error {
				_, err := tx.Exec(b.Context(), "UPDATE wallet SET n = n + 1 WHERE id = $1", pgx.QueryExecModeCacheStatement, fmt.Sprintf("w%d", i%10000))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func bunOver(b *testing.B, dsn string, mode pgx.QueryExecMode) *bun.DB {
	b.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		b.Fatal(err)
	}
	config.ConnConfig.DefaultQueryExecMode = mode
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New())
}

// BenchmarkExecBinary sends as many bytes as a batch of payments has.
func BenchmarkExecBinary(b *testing.B) {
	db := pgtest.New(b)
	params := make([][]byte, 100)
	for i := range params {
		params[i] = make([]byte, 3<<10)
	}
	sql := "SELECT 1 WHERE $1::bytea IS NULL"
	for i := 2; i <= len(params); i++ {
		sql += fmt.Sprintf(" OR $%d::bytea IS NULL", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := db.ExecBinary(b.Context(), "wide", sql, params); err != nil {
			b.Fatal(err)
		}
	}
}
