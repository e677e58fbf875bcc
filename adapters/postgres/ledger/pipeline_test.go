package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/actuation/record"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/plugins/wallet"
)

func clawBack(id string) grants.ClawBackInput {
	return grants.ClawBackInput{GrantID: id, Reason: "test"}
}

func (b *bench) issue(t testing.TB, customer string, amount int64, expires *time.Time) core.Grant {
	t.Helper()
	return b.issueInput(t, customer, amount, expires, tenancy.GateOnVerification)
}

func (b *bench) issueInput(t testing.TB, customer string, amount int64, expires *time.Time, gate tenancy.ClaimGate) core.Grant {
	t.Helper()
	var g core.Grant
	must(t, b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) (err error) {
		g, err = grants.Issue(ctx, st, grants.IssueInput{
			Tenant: b.tenant, CustomerID: customer, Source: core.SourceGoodwill, AmountMinor: amount, Currency: "USD",
			ExpiresAt: expires, Gate: gate, Now: b.clock.Now(),
		})
		return err
	}))
	return g
}

// together runs n calls at once and counts the answers by code; "" is success.
func together(n int, call func(i int) error) map[fault.Code]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	codes := map[fault.Code]int{}
	for i := range n {
		wg.Go(func() {
			code := fault.Code("")
			if err := call(i); err != nil {
				code = fault.As(err).Code
				var replay *app.Replay
				if errors.As(err, &replay) {
					code = "replay"
				}
			}
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	wg.Wait()
	return codes
}

func TestOneOfManyPaymentsFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 999) // no bonus
	const n = 64
	codes := make([]identity.Credential, n)
	for i := range codes {
		codes[i] = b.code(t, guest)
	}
	got := together(n, func(i int) error {
		_, err := b.pay(t, codes[i], 999)
		return err
	})
	if got[""] != 1 || got[fault.CodeInsufficientFunds] != n-1 {
		t.Fatalf("answers %v", got)
	}
	if balance := b.balance(t, guest); balance.ActualMinor != 0 {
		t.Fatalf("balance %+v", balance)
	}
	b.sound(t)
}

func TestPaymentsOfOneWalletFollowEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	const n = 50
	codes := make([]identity.Credential, n)
	for i := range codes {
		codes[i] = b.code(t, guest)
	}
	got := together(n, func(i int) error {
		_, err := b.pay(t, codes[i], 55)
		return err
	})
	if got[""] != n { // none lost a race three times
		t.Fatalf("answers %v", got)
	}
	if balance := b.balance(t, guest); balance.ActualMinor != 0 || balance.PromoAvailableMinor != 0 {
		t.Fatalf("balance %+v", balance)
	}
	b.sound(t)
}

func TestOneCodePaysOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	code := b.code(t, guest)
	got := together(16, func(int) error {
		_, err := b.pay(t, code, 10)
		return err
	})
	if got[""] != 1 || got[fault.CodeCredentialUsed] != 15 {
		t.Fatalf("answers %v", got)
	}
}

func TestReplayUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	code, key := b.code(t, guest), uuid.NewString()
	var mu sync.Mutex
	answers := map[string]int{}
	note := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		answers[id]++
	}
	got := together(32, func(int) error {
		r, err := b.payments.Authorize(t.Context(), b.callWith("paymentAuthorize", key), payments.AuthorizeInput{AmountMinor: 100, Currency: "USD", Credential: code})
		var replay *app.Replay
		if errors.As(err, &replay) {
			note(string(replay.Record.Outcome.Body))
		} else if err == nil {
			note(r.Payment.ID)
		}
		return err
	})
	if got[""] != 1 || got["replay"] != 31 || len(answers) != 1 {
		t.Fatalf("answers %v, %v", got, answers)
	}
	other := b.callWith("paymentAuthorize", key)
	other.Pin.PayloadHash[0]++
	_, err := b.payments.Authorize(t.Context(), other, payments.AuthorizeInput{AmountMinor: 100, Currency: "USD", Credential: code})
	wantCode(t, err, fault.CodeIdempotencyKeyReused)
	if n := b.count(t, "SELECT count(*) FROM payments"); n != 1 {
		t.Fatalf("%d payments", n)
	}
	if balance := b.balance(t, guest); balance.ActualMinor+balance.PromoAvailableMinor != 2650 {
		t.Fatalf("balance %+v", balance)
	}
}

func TestDeclineIsPinned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	code, key := b.code(t, guest), uuid.NewString()
	in := payments.AuthorizeInput{AmountMinor: 100, Currency: "USD", Credential: code}
	_, err := b.payments.Authorize(t.Context(), b.callWith("paymentAuthorize", key), in)
	wantCode(t, err, fault.CodeInsufficientFunds)
	b.topUp(t, guest, 500)
	_, err = b.payments.Authorize(t.Context(), b.callWith("paymentAuthorize", key), in)
	var replay *app.Replay
	if !errors.As(err, &replay) || replay.Record.Outcome.Status != 402 {
		t.Fatalf("the same key again: %v", err)
	}
	_, err = b.payments.Authorize(t.Context(), b.call("paymentAuthorize"), in)
	must(t, err)
	if n := b.count(t, "SELECT count(*) FROM events WHERE type = 'payment.failed'"); n != 1 {
		t.Fatalf("%d payment.failed events", n)
	}
	trace, err := pg.One[string](t.Context(), b.db.Q(), "SELECT trace_id FROM decision_traces WHERE tenant_no = $1", b.tenant.No)
	must(t, err)
	stored, err := b.uow.Read().Decisions.Trace(t.Context(), b.tenant, trace)
	must(t, err)
	again, err := payments.Recover(t.Context(), stored.Inputs)
	must(t, err)
	if string(again) != string(stored.Outputs) {
		t.Fatalf("replay gives %s, the trace holds %s", again, stored.Outputs)
	}
}

func TestPlanReplaysByteForByte(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 2500)
	s := b.session(t, "", 1175)
	paid, err := b.tender(t, s.ID, b.code(t, guest), 1175)
	must(t, err)
	replays := func() []byte {
		stored, err := ledger.Decision(t.Context(), b.db.Q(), paid.Payment.ID)
		must(t, err)
		replayed, err := payments.Replay(t.Context(), b.actuator, stored)
		must(t, err)
		if !bytes.Equal(replayed, stored) {
			t.Fatalf("replay gives\n%q\nthe payment holds\n%q", replayed, stored)
		}
		return stored
	}
	stored := replays()
	shown, err := b.uow.Read().Decisions.BySession(t.Context(), b.tenant, s.ID)
	must(t, err)
	d, err := record.Read(stored)
	must(t, err)
	if len(d.Plan.Effects) != 2 || len(d.Snapshot.Lots) != 1 || !d.Snapshot.At.Equal(paid.Payment.CreatedAt) {
		t.Errorf("stored %+v", d)
	}
	if len(shown) != 1 || shown[0].Actuator != "wallet" || shown[0].ActuatorVersion != "1.0.0" || shown[0].Card.Rule == "" || len(shown[0].Card.Facts) == 0 {
		t.Errorf("shown %+v", shown)
	}

	// One of before, which is JSON, is shown and replayed alike.
	before, err := json.Marshal(d)
	must(t, err)
	_, err = b.db.Q().Exec(t.Context(), "UPDATE payments SET decision = $1 WHERE payment_id = $2", before, paid.Payment.ID)
	must(t, err)
	if !bytes.Equal(replays(), before) {
		t.Error("it was not stored as JSON")
	}
	again, err := b.uow.Read().Decisions.BySession(t.Context(), b.tenant, s.ID)
	must(t, err)
	if diff := cmp.Diff(shown, again); diff != "" {
		t.Error(diff)
	}

	_, err = ledger.Decision(t.Context(), b.db.Q(), "pay_none")
	wantCode(t, err, fault.CodeNotFound)
}

// poisoned refuses to commit any batch that holds a payment of one amount.
type poisoned struct {
	payments.Journal
	amount  int64
	commits atomic.Int64
	planned chan struct{} // the first commit waits for it
}

func (p *poisoned) Commit(ctx context.Context, batch []payments.Posting) error {
	if p.commits.Add(1) == 1 {
		<-p.planned
	}
	for i := range batch {
		if batch[i].Payment.AmountMinor == p.amount {
			batch[i].Payment.Currency = "\x00" // no text that the database takes
		}
	}
	return p.Journal.Commit(ctx, batch)
}

func TestOneBadPaymentStandsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	journal := &poisoned{Journal: b.journal, amount: 13, planned: make(chan struct{})}
	pipeline := b.pipeline(journal)
	pipeline.Start()
	t.Cleanup(pipeline.Stop)
	b.payments.Pipeline = pipeline
	const n = 33
	codes := make([]identity.Credential, n)
	for i := range codes {
		guest := b.customer(t, identity.Verified)
		b.topUp(t, guest, 500)
		codes[i] = b.code(t, guest)
	}
	// The first payment waits in the actuator until all others are queued, so
	// that they travel together.
	inside, hold := make(chan struct{}), make(chan struct{})
	var once sync.Once
	asked := 0 // by the one planner
	b.actuator.before = func(batch []actuation.Snapshot) error {
		once.Do(func() { close(inside); <-hold })
		if asked += len(batch); asked == n {
			close(journal.planned)
		}
		return nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := b.pay(t, codes[0], 20)
		first <- err
	}()
	<-inside
	go func() {
		defer close(hold)
		for pipeline.Depth() < n && t.Context().Err() == nil {
			runtime.Gosched()
		}
	}()
	got := together(n-1, func(i int) error {
		amount := int64(20)
		if i == 7 {
			amount = 13
		}
		_, err := b.pay(t, codes[i+1], amount)
		return err
	})
	must(t, <-first)
	if got[""] != n-2 || got[fault.CodeInternal] != 1 {
		t.Fatalf("answers %v", got)
	}
	// One for the first, one or two for all others, two for each halving, of which
	// there are six at most; the one that came last may travel apart.
	if c := journal.commits.Load(); c > 15 {
		t.Fatalf("%d commits for %d payments", c, n)
	}
	if bad := b.count(t, "SELECT count(*) FROM payments WHERE amount_minor = 13"); bad != 0 {
		t.Fatalf("%d bad payments were written", bad)
	}
	b.sound(t)
}

// rival changes the wallet between the pipeline's read and its commit.
type rival struct {
	payments.Journal
	change func()
	left   atomic.Int64
}

func (r *rival) Commit(ctx context.Context, batch []payments.Posting) error {
	if r.left.Add(-1) >= 0 {
		r.change()
	}
	return r.Journal.Commit(ctx, batch)
}

func TestLostRaceIsDecidedAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		times int64
		want  fault.Code
	}{{1, ""}, {2, ""}, {3, fault.CodeSubsystemDegraded}} {
		t.Run(fmt.Sprint(c.times), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			guest := b.customer(t, identity.Verified)
			b.topUp(t, guest, 900)
			journal := &rival{Journal: b.journal, change: func() { b.issue(t, guest, 100, nil) }}
			journal.left.Store(c.times)
			pipeline := b.pipeline(journal)
			pipeline.Start()
			t.Cleanup(pipeline.Stop)
			b.payments.Pipeline = pipeline
			paid, err := b.pay(t, b.code(t, guest), 900)
			if c.want != "" {
				if f := faultOf(t, err, c.want); f.RetryAfter == 0 {
					t.Fatal("no Retry-After")
				}
			} else {
				must(t, err)
				if got := paid.Payment.Debit.PromoMinor(); got != 100*c.times {
					t.Fatalf("promo %d: the plan rests on a stale wallet", got)
				}
			}
			b.sound(t)
		})
	}
}

// A merchant whose own actuator hangs delays itself only.
func TestSlowActuatorDelaysItsMerchantOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := newDirect(wallet.Wallet{})
	slow.manifest.Name = "slow"
	hold := make(chan struct{})
	slow.before = func([]actuation.Snapshot) error { <-hold; return nil }
	fast := b.tenant
	b.tenant = b.merchant(t)
	b.own[b.tenant.MerchantID] = slow
	const n = 8 // more than the workers of a lane
	answers := make(chan error, n)
	for range n {
		guest := b.customer(t, identity.Verified)
		b.topUp(t, guest, 500)
		call, in := b.call("paymentAuthorize"), payments.AuthorizeInput{AmountMinor: 20, Currency: "USD", Credential: b.code(t, guest)}
		go func() {
			_, err := b.payments.Authorize(t.Context(), call, in)
			answers <- err
		}()
	}
	for b.payments.Pipeline.Depth() < n && t.Context().Err() == nil {
		runtime.Gosched()
	}
	b.tenant = fast
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 500)
	for range 5 {
		_, err := b.pay(t, b.code(t, guest), 20)
		must(t, err)
	}
	if depth := b.payments.Pipeline.Depth(); depth != n {
		t.Errorf("%d payments of the slow merchant wait, want %d", depth, n)
	}
	close(hold)
	for range n {
		must(t, <-answers)
	}
	b.sound(t)
}

// Somebody who sits on a wallet holds up its payments only.
func TestHeldWalletHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	codes := make([]identity.Credential, 8)
	var held string
	for i := range codes {
		held = b.customer(t, identity.Verified)
		b.topUp(t, held, 500)
		codes[i] = b.code(t, held)
	}
	tx, err := b.db.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM wallets WHERE customer_id = $1 FOR UPDATE", held)
	must(t, err)
	got := together(len(codes), func(i int) error {
		_, err := b.pay(t, codes[i], 20)
		return err
	})
	must(t, tx.Rollback(t.Context()))
	if got[""] != len(codes)-1 || got[fault.CodeSubsystemDegraded] != 1 {
		t.Fatalf("answers %v", got)
	}
	_, err = b.pay(t, codes[len(codes)-1], 20)
	must(t, err)
}

// A read that waits for a table, as while a migration has it, fails as what it
// is, and the same payment goes through afterwards.
func TestALockedTableIsNoDefect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 500)
	code := b.code(t, guest)
	tx, err := b.db.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	_, err = b.pay(t, code, 20)
	if f := fault.As(err); f == nil || f.Code != fault.CodeSubsystemDegraded || f.RetryAfter == 0 {
		t.Errorf("while the wallets are locked: %v", err)
	}
	must(t, tx.Rollback(t.Context()))
	_, err = b.pay(t, code, 20)
	must(t, err)
}

func TestFullQueueAnswersOverloaded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pipeline := b.pipeline(b.journal)
	pipeline.Queue, pipeline.Batch = 4, 1
	hold := make(chan struct{})
	b.actuator.before = func([]actuation.Snapshot) error { <-hold; return nil }
	pipeline.Start()
	t.Cleanup(pipeline.Stop)
	b.payments.Pipeline = pipeline
	codes := make([]identity.Credential, 12)
	for i := range codes {
		guest := b.customer(t, identity.Verified)
		b.topUp(t, guest, 500)
		codes[i] = b.code(t, guest)
	}
	var refused atomic.Int64
	got := together(len(codes), func(i int) error {
		_, err := b.pay(t, codes[i], 20)
		if fault.Is(err, fault.CodeOverloaded) && refused.Add(1) == 7 { // 12 less 4 waiting and 1 at work
			close(hold)
		}
		return err
	})
	if got[""] != 5 || got[fault.CodeOverloaded] != 7 {
		t.Fatalf("answers %v", got)
	}
}

func TestActuatorDownChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 500)
	b.actuator.before = func([]actuation.Snapshot) error {
		return actuation.Unavailable("wallet", errors.New("down"))
	}
	code := b.code(t, guest)
	_, err := b.pay(t, code, 20)
	wantCode(t, err, fault.CodeActuatorUnavailable)
	b.actuator.before = nil
	_, err = b.pay(t, code, 20)
	must(t, err)
}

func TestStopFinishesWhatIsInside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 500)
	code := b.code(t, guest)
	inside := make(chan struct{})
	var once sync.Once
	b.actuator.before = func([]actuation.Snapshot) error { once.Do(func() { close(inside) }); return nil }
	done := make(chan error, 1)
	go func() {
		_, err := b.pay(t, code, 20)
		done <- err
	}()
	<-inside
	b.payments.Pipeline.Stop()
	must(t, <-done)
	_, err := b.pay(t, b.code(t, guest), 20)
	wantCode(t, err, fault.CodeSubsystemDegraded)
}

// What can wait waits until payments are through, and not for ever.
func TestWorkThatCanWaitGivesWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.payments.Pipeline
	p.GiveWay(t.Context(), time.Hour) // nothing is inside
	hold := make(chan struct{})
	b.actuator.before = func([]actuation.Snapshot) error { <-hold; return nil }
	var paying sync.WaitGroup
	for range 3 {
		guest := b.customer(t, identity.Verified)
		b.topUp(t, guest, 500)
		code := b.code(t, guest)
		paying.Go(func() {
			if _, err := b.pay(t, code, 20); err != nil {
				t.Error(err)
			}
		})
	}
	for p.Depth() < 3 {
		runtime.Gosched()
	}
	p.GiveWay(t.Context(), time.Millisecond) // they are all inside still
	if p.Depth() != 3 {
		t.Error("a payment went through")
	}
	waited := make(chan int64, 1)
	go func() {
		p.GiveWay(context.Background(), time.Hour)
		waited <- p.Depth()
	}()
	close(hold)
	if left := <-waited; left > 1 {
		t.Errorf("%d payments are inside still", left)
	}
	paying.Wait()
}

// Whoever is disabled, merged or erased while a payment is decided does not pay.
func TestNobodyPaysWhoWasDisabledMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 900)
	disable := func() {
		must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, guest, identity.Disabled, b.clock.Now()))
	}
	journal := &rival{Journal: b.journal, change: disable}
	journal.left.Store(1)
	pipeline := b.pipeline(journal)
	pipeline.Start()
	t.Cleanup(pipeline.Stop)
	b.payments.Pipeline = pipeline
	if _, err := b.pay(t, b.code(t, guest), 100); fault.As(err).Code != fault.CodeNotFound {
		t.Fatalf("paid by a disabled customer: %v", err)
	}
	if n := b.count(t, "SELECT count(*) FROM payments"); n != 0 {
		t.Fatalf("%d payments", n)
	}
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, guest, identity.Active, b.clock.Now()))
	if _, err := b.pay(t, b.code(t, guest), 100); err != nil {
		t.Fatalf("active again: %v", err)
	}
	b.sound(t)
}

// overlapping reads for the second payment while the first is being committed:
// the reading sees what was before the commit and ends after it.
type overlapping struct {
	payments.Journal
	read, paid chan struct{} // the second is read, the first is answered
	reads      atomic.Int64
	failed     atomic.Int64
}

func (o *overlapping) Read(ctx context.Context, wants []payments.Want, now time.Time) ([]payments.State, error) {
	states, err := o.Journal.Read(ctx, wants, now)
	if o.reads.Add(1) == 2 {
		close(o.read)
		<-o.paid
	}
	return states, err
}

func (o *overlapping) Commit(ctx context.Context, batch []payments.Posting) error {
	<-o.read
	err := o.Journal.Commit(ctx, batch)
	if err != nil {
		o.failed.Add(1)
	}
	return err
}

// Whoever pays again while the last payment is being committed is not planned on
// what was before it: such a plan would fail the batch that it travels with.
func TestPaymentsOfOneProcessDoNotRace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	journal := &overlapping{Journal: b.journal, read: make(chan struct{}), paid: make(chan struct{})}
	pipeline := b.pipeline(journal)
	pipeline.Start()
	t.Cleanup(pipeline.Stop)
	b.payments.Pipeline = pipeline
	guest := b.customer(t, identity.Verified)
	b.topUp(t, guest, 500)
	first, second := b.code(t, guest), b.code(t, guest)
	done := make(chan error, 1)
	go func() {
		_, err := b.pay(t, first, 10)
		close(journal.paid)
		done <- err
	}()
	for journal.reads.Load() == 0 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	_, err := b.pay(t, second, 20)
	must(t, err)
	must(t, <-done)
	if n := journal.failed.Load(); n != 0 {
		t.Errorf("%d commits lost a race with another payment of this process", n)
	}
	b.sound(t)
}
