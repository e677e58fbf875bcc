package journal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/journal"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/tenancy"
)

func open(t *testing.T, db *pg.DB) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), db, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

// The statements of the payment path are prepared once per connection, and
// planned once, whatever they are called with.
func TestHotStatementsArePrepared(t *testing.T) {
	t.Parallel()
	j := open(t, pgtest.New(t))
	for n := range 12 {
		want := payments.Want{Tenant: tenancy.Tenant{No: 1}, CodeHash: []byte{1}}
		if _, err := j.Read(t.Context(), make([]payments.Want, n+2), time.Now()); err != nil {
			t.Fatal(err)
		}
		if states, err := j.Read(t.Context(), []payments.Want{want}, time.Now()); err != nil || states[0].Code != nil {
			t.Fatalf("read %+v, %v", states, err)
		}
		want.LookUp = true
		if states, err := j.Read(t.Context(), []payments.Want{want}, time.Now()); err != nil || states[0].Replay != nil {
			t.Fatalf("look up %+v, %v", states, err)
		}
		if err := j.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	prepared, err := j.Prepared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(prepared) != 4 {
		t.Fatalf("%d prepared statements, want the read of many, the two of one, and the commit: %v", len(prepared), prepared)
	}
	for _, p := range prepared {
		if p.Custom > 0 || p.Generic == 0 {
			t.Errorf("%.40s...: planned anew %d times, by its generic plan %d times", strings.TrimSpace(p.Statement), p.Custom, p.Generic)
		}
	}
}

// A commit that lost a race is undone; it stays prepared and planned, for the
// next one comes at once.
func TestALostRaceKeepsThePlan(t *testing.T) {
	t.Parallel()
	j := open(t, pgtest.New(t))
	for range 6 {
		if err := j.CommitLost(t.Context()); !pg.Retryable(err) {
			t.Fatalf("%v, want what is to be tried again", err)
		}
	}
	prepared, err := j.Prepared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(prepared) != 1 || prepared[0].Generic != 6 {
		t.Errorf("%d statements, used %+v; want one, six times", len(prepared), prepared)
	}
}

// They find rows by index or by place, also where their plans were made on
// empty tables, the worst case: to read one whole costs least of all there.
func TestHotStatementsReadNoTableWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Q().Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	plan := open(t, db).Plans(t)
	lines := strings.Split(plan, "\n")
	byIndex, byPlace := 0, 0
	for i, line := range lines {
		switch {
		case strings.Contains(line, "Index Scan using "):
			byIndex++
			if !strings.Contains(lines[i+1], "Index Cond") {
				t.Errorf("an index is read whole:\n%s\n%s", line, lines[i+1])
			}
		case strings.Contains(line, "Tid Scan"):
			byPlace++
			if !strings.Contains(lines[i+1], "TID Cond") {
				t.Errorf("a table is read whole:\n%s\n%s", line, lines[i+1])
			}
		case strings.Contains(line, "Scan ") && !strings.Contains(line, "Function Scan") && !strings.Contains(line, "CTE Scan"):
			t.Errorf("neither by index nor by place: %s", line)
		}
	}
	if byIndex != 2*(4+6) || byPlace != 2*5 {
		t.Errorf("%d look-ups by index and %d by place, want 20 and 10, in\n%s", byIndex, byPlace, plan)
	}
}
