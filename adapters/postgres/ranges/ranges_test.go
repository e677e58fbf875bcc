package ranges_test

import (
	"context"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/adapters/postgres/ranges"
)

// What was appended is summarised once, and found without reading what else was.
func TestSummarize(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	grow := func(from, to int) {
		t.Helper()
		_, err := db.Q().Exec(t.Context(), `INSERT INTO entries (entry_id, tenant_no, kind, ref_id, at, currency, accounts, classes, owners, amounts)
			SELECT 'ent_' || lpad(n::text, 26, '0'), 1, 'payment', 'pay_' || lpad(n::text, 26, '0'), now(), 'USD', '{1,4}', '{1,1}', '{cus_1,NULL}', '{-1,1}' FROM generate_series($1::int, $2::int) n`, from, to)
		if err != nil {
			t.Fatal(err)
		}
	}
	summarized := func() int {
		t.Helper()
		n, err := ranges.Summarize(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	grow(1, 10_000)
	if n := summarized(); n < 4 {
		t.Errorf("%d ranges of some 200 blocks", n)
	}
	if n := summarized(); n != 0 {
		t.Errorf("%d ranges once more", n)
	}
	grow(10_001, 20_000)

	// While the table is being vacuumed it is left alone.
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		if _, err := q.Exec(ctx, "LOCK TABLE entries IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
			return err
		}
		if n := summarized(); n != 0 {
			t.Errorf("%d ranges of a table that is held", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := summarized(); n < 4 {
		t.Errorf("%d ranges afterwards", n)
	}
}
