package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/migrations"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgdev"
	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/plans"
	"github.com/feddi/feddi/test/internal/feddid"
	"github.com/feddi/feddi/test/internal/rig"
)

// bounded are the tables that do not grow with use: one row per server, job,
// actuator or consumer of the whole installation.
var bounded = []string{
	"schema_migrations", "schema_migration_files", "server_secrets", "event_consumers", "job_leases",
	"actuator_installations", "actuator_kinds", "actuator_revision", "actuator_status", "settlement_gathering",
}

// once are statements that an installation runs once in its life.
var once = map[string]string{
	"SELECT coalesce(min(xid), $1) FROM entries": "where the gathering of settlements begins, before it has ever begun",
}

// Every statement that the callable operations run, with each of their filters,
// finds its rows by an index: none reads a table whole that grows. What is read
// here is what Postgres did, from its own log of plans.
func TestNoOperationReadsAWholeTable(t *testing.T) {
	t.Parallel()
	db := explained(t)
	server := startOwn(t, feddid.Options{Binary: system.binary, DSN: db.dsn, DataDir: t.TempDir()})
	s := stockUp(openOn(t, server.URL))
	writeAll(t, "one of everything", server.URL)
	db.multiply()
	t.Run("reads", func(t *testing.T) {
		for _, op := range callable(t, http.MethodGet) {
			for _, query := range s.filters(op) {
				a := sendTo(t, server.URL, request{method: http.MethodGet, path: s.path(op) + query, as: s.caller(op)})
				if a.Status != http.StatusOK {
					t.Errorf("%s%s: %d %s", op.ID, query, a.Status, a.Raw)
				}
			}
		}
	})
	writeAll(t, "writes", server.URL)
	statements := db.statements()
	if n := len(plans.Texts(statements)); n < 100 {
		t.Errorf("only %d statements were seen", n)
	}
	statements = slices.DeleteFunc(statements, func(s plans.Statement) bool { return once[s.Text] != "" })
	for _, whole := range plans.Whole(statements, func(table string) bool { return db.grows[table] }, db.partial) {
		t.Error(whole)
	}
}

// writeAll calls every operation that changes something, each in a shop of its own.
func writeAll(t *testing.T, name, server string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		for _, op := range callable(t, http.MethodPost) {
			t.Run(op.ID, func(t *testing.T) {
				t.Parallel()
				s := stockUp(openOn(t, server))
				if a := sendTo(t, server, s.good(op)); a.Status >= 300 {
					t.Errorf("%d %s", a.Status, a.Raw)
				}
			})
		}
	})
}

// explainedDB is a database that logs the plan of whatever is run on it.
type explainedDB struct {
	t    *testing.T
	conn *pgx.Conn
	dsn  string
	log  string
	// grows are the tables that grow, partial the indexes of some rows only.
	grows, partial map[string]bool
}

func explained(t *testing.T) *explainedDB {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pg")
	postgres, err := pgdev.Start(t.Context(), pgdev.Options{Dir: dir, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = postgres.Stop(context.WithoutCancel(t.Context())) })
	db := &explainedDB{t: t, dsn: postgres.DSN(""), log: filepath.Join(dir, "postgres.log"), grows: map[string]bool{}, partial: map[string]bool{}}
	if db.conn, err = pgx.Connect(t.Context(), db.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.conn.Close(context.WithoutCancel(t.Context())) })
	if _, err := db.conn.Exec(t.Context(), "load 'auto_explain'"); err != nil {
		rig.NotRun(t, "the plans of statements: this Postgres (%s) has no auto_explain; install its contrib package: %v", postgres.From(), err)
	}
	migrate(t, db.dsn) // before plans are kept: migrations change all rows there are
	for _, setting := range plans.Settings {
		db.run("alter database " + pgdev.Database + " set " + setting)
	}
	return db
}

func migrate(t *testing.T, dsn string) {
	t.Helper()
	db, err := pg.Connect(t.Context(), dsn, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrations.Run(t.Context(), db, nil); err != nil {
		t.Fatal(err)
	}
}

func (db *explainedDB) run(sql string) {
	db.t.Helper()
	if _, err := db.conn.Exec(db.t.Context(), sql); err != nil {
		db.t.Fatalf("%v\n%s", err, sql)
	}
}

func (db *explainedDB) list(sql string, args ...any) []string {
	db.t.Helper()
	rows, err := db.conn.Query(db.t.Context(), sql, args...)
	if err != nil {
		db.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		db.t.Fatalf("%v\n%s", err, sql)
	}
	return out
}

// large is about how many rows a table has after multiply.
const large = 8000

// multiply makes every table large with rows of other tenants, so that the
// planner chooses as it does in a large shop: each row is copied with another
// tenant, and other values of what must be unique.
func (db *explainedDB) multiply() {
	db.t.Helper()
	db.run("set session_replication_role = replica") // no triggers, no foreign keys
	for _, table := range db.list("select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1") {
		if slices.Contains(bounded, table) {
			continue
		}
		columns := db.list(`select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attidentity = '' and attgenerated = '' order by attnum`, table)
		values := db.list(`select case
			when attname = 'tenant_no' then 'tenant_no + g * 1000'
			when attname = 'due_at' then 'due_at + interval ''1 day''' -- for no worker of this test
			when attname = 'phone' then 'phone || lpad(g::text, 3, ''0'')'
			when unq and typ in ('text', 'character varying') then attname || ' || ''~'' || g'
			when unq and typ = 'bytea' then 'substr(sha256(' || attname || ' || int4send(g)), 1, octet_length(' || attname || '))'
			when unq and typ = 'uuid' then 'gen_random_uuid()'
			else attname::text end
			from (select attnum, attname, format_type(atttypid, null) typ, exists (select from pg_index where indrelid = attrelid and indisunique and attnum = any(indkey))
			        and not exists (select from pg_constraint where conrelid = attrelid and contype = 'c' and attnum = any(conkey) and pg_get_constraintdef(oid) like '%ANY%') unq
			      from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attidentity = '' and attgenerated = '') a order by attnum`, table)
		db.run(fmt.Sprintf("insert into %s (%s) select %s from %[1]s t, generate_series(1, (select (%[4]d / greatest(count(*), 1))::int from %[1]s)) g on conflict do nothing",
			table, strings.Join(columns, ", "), strings.Join(values, ", "), large))
	}
	db.run("set session_replication_role = origin")
	db.run("analyze")
	// Of a table that nothing here fills, a plan would say nothing.
	for _, table := range db.list("select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and reltuples >= $1", large/2) {
		db.grows[table] = !slices.Contains(bounded, table)
	}
	if len(db.grows) < 40 {
		db.t.Errorf("only %d tables are large", len(db.grows))
	}
	for _, index := range db.list("select indexrelid::regclass::text from pg_index where indpred is not null") {
		db.partial[index] = true
	}
}

// statements are those that the program ran since the tables are large.
func (db *explainedDB) statements() []plans.Statement {
	db.t.Helper()
	log, err := os.ReadFile(db.log)
	if err != nil {
		db.t.Fatal(err)
	}
	if _, after, found := strings.Cut(string(log), `"Query Text": "analyze"`); found {
		log = []byte(after)
	}
	all, err := plans.Read(log)
	if err != nil {
		db.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(s plans.Statement) bool {
		return strings.Contains(s.Text, "pg_index") || strings.Contains(s.Text, "generate_series")
	})
}

// filters are the queries that an operation is read with: none, each of its
// filters alone, and a next page.
func (s *stock) filters(op document.Operation) []string {
	s.t.Helper()
	if op.ID == "lookupCustomer" {
		return []string{"?phone=%2B14155550123", "?provider_customer_id=pos-1", "?session_id=" + s.ids["session"]}
	}
	out := []string{""}
	for _, name := range op.Query {
		switch name {
		case "cursor", "after":
			base := request{method: http.MethodGet, path: s.path(op) + "?limit=1", as: s.caller(op)}
			a := sendTo(s.t, s.server, base)
			if next := a.text("meta.next_cursor"); next != "" {
				out = append(out, "?limit=1&"+name+"="+url.QueryEscape(next))
			}
			continue
		case "limit":
			continue
		}
		out = append(out, "?"+name+"="+url.QueryEscape(s.filter(op, name)))
	}
	return out
}

// filter is a value that a filter may have.
func (s *stock) filter(op document.Operation, name string) string {
	s.t.Helper()
	schema := system.spec.QuerySchema(op, name)
	if list, ok := schema["items"].(object); ok {
		schema = system.spec.Resolve(list)
	}
	if allowed, ok := schema["enum"].([]any); ok && len(allowed) > 0 {
		for _, v := range allowed {
			if text, ok := v.(string); ok && text != "" {
				return text
			}
		}
	}
	switch {
	case strings.HasSuffix(name, "_after") || strings.HasSuffix(name, "_from"):
		return time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	case strings.HasSuffix(name, "_before") || strings.HasSuffix(name, "_to"):
		return time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	case strings.HasPrefix(name, "include_") || schema["type"] == "boolean":
		return "true"
	case name == "brand_id":
		return s.made.text("data.brand_id")
	case name == "currency":
		return "USD"
	case name == "locale":
		return "en-US"
	case name == "version", name == "revision", schema["type"] == "integer":
		return "1"
	case name == "event_id":
		return "evt_none"
	case name == "event_type", name == "event_types", name == "type":
		return "payment.succeeded"
	}
	for _, noun := range []string{"merchant", "branch", "terminal", "customer", "session", "subscription", "transaction", "budget", "offer", "grant", "topup", "proposal", "dispute"} {
		if name == noun+"_id" {
			return s.id(noun)
		}
	}
	s.t.Fatalf("%s: say in filter what %s may be", op.ID, name)
	return ""
}
