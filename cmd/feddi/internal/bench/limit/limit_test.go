package limit

import (
	"os"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
)

// TestBothToolsDebit runs the statement through pgbench, where there is one,
// and through our own loop: money is neither made nor lost, and every debit
// has a key and two lines.
func TestBothToolsDebit(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), pgtest.Empty(t), 50)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{""}
	if l.bench != "" {
		paths = append(paths, l.bench)
	}
	for _, path := range paths {
		l.bench = path
		m, err := l.Measure(t.Context(), 4, time.Second)
		if err != nil {
			t.Fatalf("%s: %v", l.Tool(), err)
		}
		if m.Rate <= 0 || m.Debits <= 0 || m.P50 <= 0 || m.P99 < m.P50 || m.Max < m.P99 {
			t.Errorf("%s: %+v", l.Tool(), m)
		}
	}
	if err := l.Check(t.Context()); err != nil {
		t.Error(err)
	}
	rows, err := pg.One[int64](t.Context(), l.db.Q(), `SELECT (SELECT count(*) FROM feddi_limit.keys) * 2 - (SELECT count(*) FROM feddi_limit.lines)`)
	if err != nil || rows != 0 {
		t.Errorf("keys and lines are %d apart, %v", rows, err)
	}
	if _, err := l.db.Pool().Exec(t.Context(), `UPDATE feddi_limit.wallets SET minor = minor - 1 WHERE wallet = 1`); err != nil {
		t.Fatal(err)
	}
	if l.Check(t.Context()) == nil {
		t.Error("money that is gone is not missed")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left, err := pg.One[int64](t.Context(), l.db.Q(), `SELECT count(*) FROM pg_namespace WHERE nspname = 'feddi_limit'`); err != nil || left != 0 {
		t.Errorf("the schema is left behind: %d, %v", left, err)
	}
}

func TestPgbenchIsUnderstood(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]float64{
		"latency average = 1.9 ms\ntps = 16150.125 (without initial connection time)\n": 16150.125,
		"tps = 99.5 (excluding connections establishing)\n":                             99.5,
	} {
		if got, err := rateOf(out); err != nil || got != want {
			t.Errorf("%v, %v", got, err)
		}
	}
	if _, err := rateOf("pgbench: error: no"); err == nil {
		t.Error("no rate is no error")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"log.1": "0 1 100 0 1 2\n0 2 300 0 1 2\n", "log.1.1": "1 1 200 0 1 2\nnonsense\n"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var m Measure
	if err := m.quantiles(dir); err != nil || m.P50 != 200*time.Microsecond || m.Max != 300*time.Microsecond {
		t.Errorf("%+v, %v", m, err)
	}
}
