package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	store "github.com/feddi/feddi/adapters/postgres/idempotency"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/tenancy"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 123456000, time.UTC)

func record() idempotency.Record {
	return idempotency.Record{
		Scope:       idempotency.Scope{PartnerID: "par_1", Mode: tenancy.Sandbox, Operation: "paymentAuthorize", Key: uuid.NewString()},
		PayloadHash: [32]byte{1, 2, 31: 9},
		CreatedAt:   now,
		ExpiresAt:   now.Add(24 * time.Hour),
	}
}

// perform claims r and settles it with body, as a use case does.
func perform(ctx context.Context, db *pg.DB, r idempotency.Record, at time.Time, body string) (found *idempotency.Record, err error) {
	err = pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
		s := store.New(q)
		found, err = s.Claim(ctx, r, at)
		if err != nil || found != nil {
			return err
		}
		return s.Settle(ctx, r.Scope, idempotency.Outcome{Status: 201, Body: []byte(body)})
	})
	return found, err
}

func TestAnOutcomeComesBackWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := record()
	if found, err := perform(t.Context(), db, r, now, "first"); err != nil || found != nil {
		t.Fatalf("first claim: %v, %v", found, err)
	}
	want := r
	want.Outcome = idempotency.Outcome{Status: 201, Body: []byte("first")}
	again, err := perform(t.Context(), db, r, now.Add(time.Minute), "second")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, again); diff != "" {
		t.Errorf("second claim (-want +got):\n%s", diff)
	}
	found, err := store.New(db.Q()).Find(t.Context(), r.Scope, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, found); diff != "" {
		t.Errorf("find (-want +got):\n%s", diff)
	}
}

func TestEveryPartOfTheScopeCounts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := record()
	if _, err := perform(t.Context(), db, r, now, "one"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*idempotency.Scope){
		"partner":   func(s *idempotency.Scope) { s.PartnerID = "par_2" },
		"mode":      func(s *idempotency.Scope) { s.Mode = tenancy.Production },
		"operation": func(s *idempotency.Scope) { s.Operation = "topupPrepare" },
		"key":       func(s *idempotency.Scope) { s.Key = uuid.NewString() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := r
			change(&other.Scope)
			if found, err := store.New(db.Q()).Find(t.Context(), other.Scope, now); found != nil || err != nil {
				t.Errorf("found %v, %v in another scope", found, err)
			}
			if found, err := perform(t.Context(), db, other, now, "two"); found != nil || err != nil {
				t.Errorf("claim = %v, %v; want a claim of its own", found, err)
			}
		})
	}
}

func TestAnExpiredRecordDoesNotCountAndIsTakenOver(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := record()
	if _, err := perform(t.Context(), db, r, now, "old"); err != nil {
		t.Fatal(err)
	}
	s := store.New(db.Q())
	if found, err := s.Find(t.Context(), r.Scope, r.ExpiresAt.Add(-time.Microsecond)); found == nil || err != nil {
		t.Fatalf("just before its end: %v, %v", found, err)
	}
	if found, err := s.Find(t.Context(), r.Scope, r.ExpiresAt); found != nil || err != nil {
		t.Fatalf("at its end: %v, %v", found, err)
	}
	next := r
	next.PayloadHash = [32]byte{7}
	next.CreatedAt, next.ExpiresAt = r.ExpiresAt, r.ExpiresAt.Add(time.Hour)
	if found, err := perform(t.Context(), db, next, r.ExpiresAt, "new"); found != nil || err != nil {
		t.Fatalf("take over = %v, %v", found, err)
	}
	next.Outcome = idempotency.Outcome{Status: 201, Body: []byte("new")}
	found, err := s.Find(t.Context(), r.Scope, r.ExpiresAt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&next, found); diff != "" {
		t.Errorf("taken over (-want +got):\n%s", diff)
	}
}

func TestOneOfManyConcurrentCallsDoesTheWork(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := record()
	const calls = 12
	found := make([]*idempotency.Record, calls)
	errs := make([]error, calls)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() { found[i], errs[i] = perform(t.Context(), db, r, now, fmt.Sprintf("call %d", i)) })
	}
	wg.Wait()
	winner := -1
	for i := range calls {
		if errs[i] != nil {
			t.Fatalf("call %d: %v", i, errs[i])
		}
		if found[i] == nil {
			if winner >= 0 {
				t.Fatalf("calls %d and %d both did the work", winner, i)
			}
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("nobody did the work")
	}
	for i := range calls {
		if i != winner && string(found[i].Outcome.Body) != fmt.Sprintf("call %d", winner) {
			t.Errorf("call %d got %q, the winner is %d", i, found[i].Outcome.Body, winner)
		}
	}
}

// holdClaim claims r in a transaction that stays open until end is called.
func holdClaim(t *testing.T, db *pg.DB, r idempotency.Record) (end func(err error) error) {
	t.Helper()
	claimed, release, done := make(chan struct{}), make(chan error), make(chan error, 1)
	go func() {
		done <- pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
			s := store.New(q)
			found, err := s.Claim(ctx, r, now)
			if err != nil || found != nil {
				return fmt.Errorf("claim to hold: %v, %w", found, err)
			}
			close(claimed)
			if err := <-release; err != nil {
				return err
			}
			return s.Settle(ctx, r.Scope, idempotency.Outcome{Status: 200, Body: []byte("held")})
		})
	}()
	select {
	case <-claimed:
	case err := <-done:
		t.Fatal(err)
	}
	return func(err error) error { release <- err; return <-done }
}

func TestAClaimWaitsForTheFirstOneToEnd(t *testing.T) {
	t.Parallel()
	undone := errors.New("undo")
	for name, c := range map[string]struct {
		end  error // how the first one ends
		want string
	}{
		"committed": {nil, "held"},
		"undone":    {undone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			r := record()
			end := holdClaim(t, db, r)
			type answer struct {
				found *idempotency.Record
				err   error
			}
			second := make(chan answer, 1)
			go func() {
				found, err := perform(t.Context(), db, r, now, "second")
				second <- answer{found, err}
			}()
			pgtest.WaitForBlocked(t, db)
			if err := end(c.end); !errors.Is(err, c.end) {
				t.Fatalf("end of the first: %v", err)
			}
			got := <-second
			if got.err != nil {
				t.Fatal(got.err)
			}
			if c.want == "" && got.found != nil {
				t.Errorf("found %v of a call that was undone", got.found)
			}
			if c.want != "" && (got.found == nil || string(got.found.Outcome.Body) != c.want) {
				t.Errorf("found %v, want the first one's outcome", got.found)
			}
		})
	}
}

func TestAClaimThatWaitsTooLongSaysInProgress(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := record()
	end := holdClaim(t, db, r)
	started := time.Now()
	_, err := perform(t.Context(), db, r, now, "second")
	if !fault.Is(err, fault.CodeIdempotencyInProgress) {
		t.Errorf("err = %v, want IDEMPOTENCY_IN_PROGRESS", err)
	}
	if took := time.Since(started); took < time.Second || took > 4*time.Second {
		t.Errorf("waited %v, want about 2 s", took)
	}
	if err := end(nil); err != nil {
		t.Fatal(err)
	}
}

func TestAClaimLeavesNoLockTimeoutBehind(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		if _, err := store.New(q).Claim(ctx, record(), now); err != nil {
			return err
		}
		got, err := pg.One[string](ctx, q, "SELECT current_setting('lock_timeout')")
		if got != "0" {
			t.Errorf("lock_timeout = %s after the claim, want 0", got)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAClaimWithoutItsOutcomeDoesNotBlockTheKey(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	r := record()
	err := pg.Tx(t.Context(), db, func(ctx context.Context, q pg.Q) error {
		_, err := store.New(q).Claim(ctx, r, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := perform(t.Context(), db, r, now, "second"); found != nil || err != nil {
		t.Errorf("claim = %v, %v; want it taken over", found, err)
	}
}

func TestSettleWantsAClaim(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if err := store.New(db.Q()).Settle(t.Context(), record().Scope, idempotency.Outcome{Status: 200}); err == nil {
		t.Error("settled what nobody claimed")
	}
}

func TestSweepDeletesTheExpiredUpToItsLimit(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	live := record()
	live.ExpiresAt = now.Add(48 * time.Hour)
	if _, err := perform(t.Context(), db, live, now, "live"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := perform(t.Context(), db, record(), now, "old"); err != nil {
			t.Fatal(err)
		}
	}
	s := store.New(db.Q())
	later := now.Add(24 * time.Hour)
	for i, want := range []int{3, 2, 0} {
		if n, err := s.Sweep(t.Context(), later, 3); n != want || err != nil {
			t.Errorf("sweep %d = %d, %v; want %d", i, n, err, want)
		}
	}
	if found, err := s.Find(t.Context(), live.Scope, later); found == nil || err != nil {
		t.Errorf("the live one: %v, %v", found, err)
	}
}
