package trade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	storeledger "github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/ledger"
)

// Books are the tables behind a shop that is alone in its database, read past
// the server.
type Books struct{ db *pg.DB }

// OpenBooks opens the books at dsn.
func OpenBooks(ctx context.Context, dsn string) (*Books, error) {
	db, err := pg.Connect(ctx, dsn, pg.Options{StatementTimeout: time.Minute, ApplicationName: "feddi test books"})
	if err != nil {
		return nil, err
	}
	return &Books{db}, nil
}

// Close closes the connection.
func (b *Books) Close() { b.db.Close() }

// Agree holds the books against what the guests were told: each payment and
// top-up is there exactly once and nothing else is, in payments, top-ups,
// entries, events, keys and codes; every balance follows from the postings;
// each guest has what was paid in, less what was paid, plus cashback. It waits
// for what the event log brings about (transactions, cashback), which must be
// there exactly once too.
func (b *Books) Agree(ctx context.Context, told Told, guests []Guest) error {
	for _, g := range guests {
		if g.Funding != nil {
			told.Topups = append(told.Topups, g.Funding)
		}
	}
	paid, err := ids(told.Payments, (*Payment).ID, (*Payment).judge)
	toppedUp, err2 := ids(told.Topups, func(t *Topup) string { return t.ID }, (*Topup).judge)
	return errors.Join(err, err2,
		b.same(ctx, paid, "payments", "SELECT payment_id FROM payments WHERE status = 'succeeded'"),
		b.same(ctx, paid, "entries of payments", "SELECT ref_id FROM entries WHERE kind = 'payment'"),
		b.same(ctx, paid, "payment.succeeded events", "SELECT subject FROM events WHERE type = 'payment.succeeded'"),
		b.none(ctx, "other payments", "SELECT payment_id || ' ' || status FROM payments WHERE status <> 'succeeded'"),
		b.none(ctx, "payment.failed events", "SELECT subject FROM events WHERE type = 'payment.failed'"),
		b.same(ctx, toppedUp, "top-ups", "SELECT topup_id FROM topups WHERE state = 'COMPLETED'"),
		b.same(ctx, toppedUp, "entries of top-ups", "SELECT ref_id FROM entries WHERE kind = 'topup'"),
		b.same(ctx, toppedUp, "topup.completed events", "SELECT subject FROM events WHERE type = 'topup.completed'"),
		b.keys(ctx, told),
		b.settled(ctx, paid, told.Topups),
		b.Sound(ctx),
	)
}

// ids are the sorted ids of what was done, each of which must be another one.
func ids[T any](done []T, id func(T) string, judge func(T) []string) (all []string, err error) {
	var wrong []error
	for _, d := range done {
		for _, text := range judge(d) {
			wrong = append(wrong, errors.New(text))
		}
		all = append(all, id(d))
	}
	slices.Sort(all)
	if distinct := slices.Compact(slices.Clone(all)); len(distinct) != len(all) {
		wrong = append(wrong, fmt.Errorf("%d intents have %d ids", len(all), len(distinct)))
	}
	if len(wrong) > 10 {
		wrong = append(wrong[:10], fmt.Errorf("and %d more", len(wrong)-10))
	}
	return all, errors.Join(wrong...)
}

// Sound derives every figure from the postings again.
func (b *Books) Sound(ctx context.Context) error {
	var wrong []error
	_, findings, err := ledger.Verify(ctx, storeledger.NewAudit(b.db), func(f ledger.Finding) {
		if len(wrong) < 10 {
			wrong = append(wrong, errors.New(f.String()))
		}
	})
	if findings > len(wrong) {
		wrong = append(wrong, fmt.Errorf("and %d more", findings-len(wrong)))
	}
	return errors.Join(append(wrong, err)...)
}

// same compares a column with the sorted texts that it should hold, each once.
func (b *Books) same(ctx context.Context, told []string, what, sql string) error {
	found, err := b.texts(ctx, sql)
	if err != nil {
		return err
	}
	slices.Sort(found)
	missing, surplus := difference(told, found), difference(found, told)
	if len(missing)+len(surplus) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d are missing %q, %d are too many %q", what, len(missing), first(missing), len(surplus), first(surplus))
}

func (b *Books) none(ctx context.Context, what, sql string) error {
	return b.same(ctx, nil, what, sql)
}

// difference is what the sorted list a has and b has not, by number.
func difference(a, b []string) (only []string) {
	counts := map[string]int{}
	for _, text := range b {
		counts[text]++
	}
	for _, text := range a {
		if counts[text]--; counts[text] < 0 {
			only = append(only, text)
		}
	}
	return only
}

func first(list []string) []string { return list[:min(len(list), 5)] }

func (b *Books) texts(ctx context.Context, sql string, args ...any) ([]string, error) {
	rows, err := b.db.Pool().Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// keys checks that every key has one stored answer, and every code one use.
func (b *Books) keys(ctx context.Context, told Told) error {
	var keys []string
	for _, p := range told.Payments {
		keys = append(keys, p.Key)
	}
	slices.Sort(keys)
	used, err := pg.One[int64](ctx, b.db.Q(), "SELECT count(*) FROM payment_codes WHERE used_at IS NOT NULL")
	if err == nil && used != int64(len(keys)) {
		err = fmt.Errorf("%d codes are used by %d payments", used, len(keys))
	}
	return errors.Join(err, b.same(ctx, keys, "keys of payments",
		"SELECT key::text FROM idempotency WHERE operation = 'paymentAuthorize' AND status = 201"))
}

// settled waits until the event log has been worked off, and then checks what
// came of it.
func (b *Books) settled(ctx context.Context, paid []string, topups []*Topup) error {
	if err := b.await(ctx, len(paid)); err != nil {
		return err
	}
	return errors.Join(
		b.none(ctx, "events set aside", "SELECT consumer || ': ' || cause FROM event_parked"),
		b.same(ctx, paid, "transactions of payments", "SELECT payment_id FROM transaction_payments"),
		b.same(ctx, paid, "transaction.created events", `SELECT p.payment_id FROM events e
			JOIN transaction_payments p ON p.transaction_id = e.subject WHERE e.type = 'transaction.created'`),
		b.same(ctx, paid, "lots of cashback", `SELECT p.payment_id FROM grants g
			JOIN transaction_payments p ON p.transaction_id = g.origin_id WHERE g.source = 'CASHBACK'`),
		b.balances(ctx, topups),
	)
}

// await waits for n transactions with all their decisions made.
func (b *Books) await(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		made, err := pg.One[int64](ctx, b.db.Q(), "SELECT count(*) FROM transaction_payments")
		if err != nil {
			return err
		}
		open, err := pg.One[int64](ctx, b.db.Q(), "SELECT count(*) FROM transaction_rulings WHERE state = 'pending'")
		if err != nil {
			return err
		}
		if made >= int64(n) && open == 0 {
			return nil
		}
		pause(ctx, breath)
		if ctx.Err() != nil {
			parked, _ := b.texts(context.WithoutCancel(ctx), "SELECT consumer || ': ' || cause FROM event_parked LIMIT 3")
			return fmt.Errorf("after %s %d of %d payments have a transaction, %d decisions are open, set aside: %q", patience, made, n, open, parked)
		}
	}
}

// balances checks that no guest has more or less than is due.
func (b *Books) balances(ctx context.Context, topups []*Topup) error {
	rows, err := b.db.Pool().Query(ctx, `SELECT w.customer_id,
		actual_minor + promo_available_minor + promo_locked_minor
		+ coalesce((SELECT sum(amount_minor) FROM payments p WHERE p.customer_id = w.customer_id AND p.status = 'succeeded'), 0)::bigint
		- coalesce((SELECT sum(amount_minor) FROM grants g WHERE g.customer_id = w.customer_id AND g.source = 'CASHBACK'), 0)::bigint
		FROM wallets w`)
	if err != nil {
		return err
	}
	had := map[string]int64{}
	for rows.Next() {
		var guest string
		var minor int64
		if err := rows.Scan(&guest, &minor); err != nil {
			return err
		}
		had[guest] = minor
	}
	funded := map[string]int64{}
	for _, t := range topups {
		funded[t.Guest.ID] += t.paidInMinor()
	}
	// The sandbox brings a guest of its own, who has nothing.
	maps.DeleteFunc(had, func(guest string, minor int64) bool { return minor == 0 && funded[guest] == 0 })
	if err := rows.Err(); err != nil || maps.Equal(had, funded) {
		return err
	}
	return fmt.Errorf("paid in, as the wallets tell it: %v; as the guests do: %v", had, funded)
}

// Fingerprint is a digest of all that money is in: wallets, lots, entries with
// their postings, payments, codes, stored answers and events. Where two are equal,
// nothing changed between them.
func (b *Books) Fingerprint(ctx context.Context) (string, error) {
	var text string
	for _, table := range []string{"wallets", "grants", "entries", "payments", "payment_codes", "idempotency", "events", "decisions"} {
		sum, err := b.texts(ctx, "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM "+table+" t")
		if err != nil {
			return "", err
		}
		text += table + " " + sum[0] + "\n"
	}
	return text, nil
}

// Backends are the database's processes that serve an application.
func (b *Books) Backends(ctx context.Context, application string) ([]int, error) {
	rows, err := b.db.Pool().Query(ctx, "SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid", application)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// SwitchLog has the database begin a new segment of its log.
func (b *Books) SwitchLog(ctx context.Context) error {
	_, err := b.db.Pool().Exec(ctx, "SELECT pg_switch_wal()")
	return err
}

// Fill makes every insert into a table fail as on a full disk, until release is
// called. tries is how many there were.
func (b *Books) Fill(ctx context.Context, table string) (tries func() (int64, error), release func() error, err error) {
	_, err = b.db.Pool().Exec(ctx, `
		CREATE SEQUENCE inserts; -- what is counted in it is not rolled back
		CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM nextval('inserts');
			RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
		END $$;
		CREATE TRIGGER no_room BEFORE INSERT ON `+table+` FOR EACH STATEMENT EXECUTE FUNCTION no_room()`)
	tries = func() (int64, error) {
		return pg.One[int64](ctx, b.db.Q(), "SELECT last_value FROM inserts")
	}
	release = func() error {
		_, err := b.db.Pool().Exec(ctx, "DROP TRIGGER no_room ON "+table)
		return err
	}
	return tries, release, err
}
