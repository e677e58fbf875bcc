package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

func tail(t *testing.T, db *pg.DB) *events.Tail {
	t.Helper()
	tail, err := events.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	return tail
}

// What the consumers do hundreds of times a second is planned once, whatever
// their places are.
func TestTheLogIsReadByOnePlan(t *testing.T) {
	t.Parallel()
	tail := tail(t, pgtest.New(t))
	reader, consumers := tail.Reader(), tail.Consumers()
	for n := range 12 {
		at, held, err := consumers.Lease(t.Context(), "c", "server", time.Minute)
		if err != nil || !held || at.Position != int64(n) {
			t.Fatalf("lease %d: at %v, held %t, %v", n, at, held, err)
		}
		if _, err := reader.After(t.Context(), at, 1+n); err != nil {
			t.Fatal(err)
		}
		if err := consumers.Advance(t.Context(), "c", "server", event.Cursor{XID: uint64(n), Position: int64(n) + 1}); err != nil {
			t.Fatal(err)
		}
	}
	custom, generic, err := tail.Planned(t.Context())
	if err != nil || custom > 0 || generic < 3*12 {
		t.Errorf("planned anew %d times, not %d times, %v", custom, generic, err)
	}
}

// That plan walks the log from the place on and sorts nothing, also where it was
// made on empty tables, the worst case: to read one whole costs least of all there.
func TestTheLogIsReadByItsKey(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Q().Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	plan := pgtest.Plan(t, tail(t, db).Q(), events.ReadStatement)
	if !strings.Contains(plan, "Index Scan using events_pkey on events") || !strings.Contains(plan, "Index Cond: ((ROW(xid, \"position\") > ROW(") ||
		strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan") {
		t.Error(plan)
	}
}

// A place is its holder's to write. That its commit does not wait for the disk
// is no business of the connection's next one.
func TestAPlaceIsItsHolders(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Q().Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$`); err != nil {
		t.Fatal(err)
	}
	tail := tail(t, db)
	if _, _, err := tail.Consumers().Lease(t.Context(), "c", "server", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := tail.Consumers().Advance(t.Context(), "c", "server", event.Cursor{XID: 7, Position: 8}); err != nil {
		t.Fatal(err)
	}
	if err := tail.Consumers().Advance(t.Context(), "c", "another server", event.Cursor{XID: 9, Position: 9}); err != nil {
		t.Fatal(err)
	}
	at, held, err := tail.Consumers().Lease(t.Context(), "c", "server", time.Minute)
	if want := (event.Cursor{XID: 7, Position: 8}); err != nil || !held || at != want {
		t.Errorf("at %v, held %t, %v; want %v", at, held, err, want)
	}
	left, err := tail.Setting(t.Context(), "synchronous_commit")
	if err != nil || left != "on" {
		t.Errorf("synchronous_commit is %q on the connection, %v", left, err)
	}
}

// The log keeps what it is given, byte for byte, and takes only JSON objects.
func TestDataIsKeptAsWritten(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	made := func(data string) event.Event {
		return event.Event{ID: "evt_1", Tenant: tenancy.Tenant{No: 1}, Type: "offer.paused", Subject: "cs_1", At: time.Now(), Data: []byte(data)}
	}
	log := events.NewLog(db.Q(), nil)
	const odd = `{ "a" : 1.0,"a":"\u00e9é" ,"b":{}}`
	if err := log.Append(t.Context(), made(odd)); err != nil {
		t.Fatal(err)
	}
	about, err := log.About(t.Context(), tenancy.Tenant{No: 1}, []string{"cs_1"}, 10)
	if err != nil || len(about) != 1 || string(about[0].Data) != odd {
		t.Errorf("%+v, %v; want %s", about, err, odd)
	}
	for _, bad := range []string{``, `{"a":`, `{"a":1}}`, "{\"a\":\"\xff\"}", `null`, `[]`, `{"a":"` + "\x00" + `"}`} {
		if err := log.Append(t.Context(), made(odd), made(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if about, err = log.About(t.Context(), tenancy.Tenant{No: 1}, []string{"cs_1"}, 10); err != nil || len(about) != 1 {
		t.Errorf("%d events, %v; want the first alone", len(about), err)
	}
}
