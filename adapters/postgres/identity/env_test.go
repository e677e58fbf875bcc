package identity_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/messages"
	"github.com/feddi/feddi/adapters/phone"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	tenancystore "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/adapters/qr"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

var start = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

const guest = "+14155550123"

// bench is a merchant on a database of its own, with every use case of identity.
type bench struct {
	db         *pg.DB
	uow        *postgres.UnitOfWork
	clock      *clock.Manual
	ids        *ids.Source
	tenant     tenancy.Tenant
	outbox     *messages.Sandbox
	identities *identities.Service
	enrollment *enrollment.Service
	customers  *customers.Service
}

func setup(t testing.TB, change ...func(*tenancy.Merchant)) *bench {
	t.Helper()
	b := &bench{db: pgtest.New(t), clock: clock.NewManual(start), outbox: &messages.Sandbox{}}
	b.ids = ids.New(b.clock)
	b.uow = postgres.New(b.db, nil, nil)
	b.tenant = b.merchant(t, change...)
	directory := tenancystore.NewDirectory(b.db)
	b.identities = &identities.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory, Phones: phone.Numbers{}}
	b.enrollment = &enrollment.Service{
		UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory, Identities: b.identities,
		Proofs: identity.Proofs{Key: []byte("thirty-two bytes for these tests")}, Sender: b.outbox,
	}
	b.customers = &customers.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory, Identities: b.identities, Draw: qr.SVG}
	return b
}

// merchant adds one with a partner of its own.
func (b *bench) merchant(t testing.TB, change ...func(*tenancy.Merchant)) tenancy.Tenant {
	t.Helper()
	store := tenancystore.New(b.db.Q())
	m := tenancy.Merchant{
		ID: b.ids.Make(ids.Merchant), Mode: tenancy.Sandbox, Name: "Bean House", Status: tenancy.MerchantActive,
		Settings: tenancy.DefaultSettings("USD"), CreatedAt: start,
	}
	for _, f := range change {
		f(&m)
	}
	partner := tenancy.Partner{ID: b.ids.Make(ids.Partner), Name: "Partner", Sandbox: m.Mode == tenancy.Sandbox, CreatedAt: start}
	must(t, store.AddPartner(t.Context(), partner))
	m.PartnerID = partner.ID
	m, err := store.AddMerchant(t.Context(), m)
	must(t, err)
	return m.Tenant()
}

func live(m *tenancy.Merchant) { m.Mode = tenancy.Production }

func gate(g tenancy.ClaimGate) func(*tenancy.Merchant) {
	return func(m *tenancy.Merchant) { m.Settings.ClaimGate = g }
}

// call is a terminal's call with a fresh idempotency key.
func (b *bench) call(operation string) *app.Call {
	return b.callOf(b.tenant, operation)
}

func (b *bench) callOf(t tenancy.Tenant, operation string) *app.Call {
	return &app.Call{
		Operation: operation, Tenant: t, Actor: tenancy.Actor{Kind: tenancy.TerminalCall, PartnerID: t.PartnerID, Mode: t.Mode, Merchants: []string{t.MerchantID}},
		Pin: &app.Pin{
			Scope: idempotency.Scope{PartnerID: t.PartnerID, Mode: t.Mode, Operation: operation, Key: uuid.NewString()},
			Encode: func(any, *fault.Error) (idempotency.Outcome, error) {
				return idempotency.Outcome{Status: http.StatusOK}, nil
			},
		},
	}
}

func (b *bench) initiate(t testing.TB, number string) enrollment.Initiated {
	t.Helper()
	out, err := b.enrollment.Initiate(t.Context(), b.call("initiateEnrollment"), enrollment.InitiateInput{Phone: number})
	must(t, err)
	return out
}

func (b *bench) verify(t testing.TB, i enrollment.Initiated) enrollment.VerifiedEnrollment {
	t.Helper()
	out, err := b.tryCode(t.Context(), i.Enrollment.ID, i.Proof.Code)
	must(t, err)
	return out
}

func (b *bench) tryCode(ctx context.Context, enrollmentID, code string) (enrollment.VerifiedEnrollment, error) {
	return b.enrollment.Verify(ctx, b.call("verifyEnrollment"), enrollment.VerifyInput{EnrollmentID: enrollmentID, Code: code})
}

// verified enrols and verifies a guest.
func (b *bench) verified(t testing.TB, number string) identity.Customer {
	t.Helper()
	return b.verify(t, b.initiate(t, number)).Customer
}

// wrong is a code that p's is not.
func wrong(p *identity.Proof) string {
	if p.Code == "000000" {
		return "000001"
	}
	return "000000"
}

func (b *bench) issue(t testing.TB, customerID string, amountMinor int64) ledger.Grant {
	t.Helper()
	var g ledger.Grant
	issue := func(ctx context.Context, st app.Stores) (err error) {
		m, err := b.enrollment.Directory.Merchant(ctx, b.tenant.MerchantID)
		if err != nil {
			return err
		}
		g, err = grants.Issue(ctx, st, grants.IssueInput{
			Tenant: b.tenant, CustomerID: customerID, Source: ledger.SourceCashback, AmountMinor: amountMinor, Currency: "USD",
			Gate: m.Settings.ClaimGate, Now: b.clock.Now(),
		})
		return err
	}
	must(t, patient(func() error { return b.uow.Do(t.Context(), issue) }))
	return g
}

func (b *bench) session(t testing.TB) checkout.Session {
	t.Helper()
	s := checkout.Session{
		ID: b.ids.Make(ids.Session), Tenant: b.tenant, Version: 1, State: checkout.Open, Currency: "USD", Origin: checkout.OriginPOS,
		Channel: checkout.DefaultChannel, OpenedAt: b.clock.Now(), ExpiresAt: b.clock.Now().Add(time.Hour),
	}
	must(t, b.uow.Read().Checkout.Insert(t.Context(), s))
	return s
}

func (b *bench) link(t testing.TB, customerID string, c identity.Credential) (identity.Link, error) {
	t.Helper()
	var l identity.Link
	err := b.uow.Do(t.Context(), func(ctx context.Context, st app.Stores) (err error) {
		l, err = b.identities.Link(ctx, st, identities.LinkInput{Tenant: b.tenant, CustomerID: customerID, Credential: c, Now: b.clock.Now()})
		return err
	})
	return l, err
}

func (b *bench) resolve(t testing.TB, c identity.Credential) (identity.Resolution, error) {
	t.Helper()
	return b.identities.Resolve(t.Context(), b.uow.Read(), b.tenant, c, b.clock.Now())
}

func (b *bench) mint(t testing.TB, customerID string, kind identity.CredentialType) customers.Minted {
	t.Helper()
	out, err := b.customers.Mint(t.Context(), b.call("qrMint"), customers.MintInput{CustomerID: customerID, Kind: kind})
	must(t, err)
	return out
}

func (b *bench) lookup(t testing.TB, in customers.LookupInput) customers.Panel {
	t.Helper()
	call := b.call("lookupCustomer")
	call.Pin = nil
	out, err := b.customers.Lookup(t.Context(), call, in)
	must(t, err)
	return out
}

func (b *bench) balance(t testing.TB, customerID string) ledger.Balance {
	t.Helper()
	out, err := b.uow.Read().Ledger.Balance(t.Context(), b.tenant, customerID)
	must(t, err)
	return out
}

// events counts the events by type.
func (b *bench) events(t testing.TB) map[string]int {
	t.Helper()
	type row struct {
		Type string
		N    int
	}
	rows, err := pg.Many[row](t.Context(), b.db.Q(), `SELECT type, count(*) AS n FROM events WHERE tenant_no = $1 GROUP BY type`, b.tenant.No)
	must(t, err)
	out := map[string]int{}
	for _, r := range rows {
		out[r.Type] = r.N
	}
	return out
}

// count counts the rows of a table.
func (b *bench) count(t testing.TB, table string) int {
	t.Helper()
	n, err := pg.One[int](t.Context(), b.db.Q(), `SELECT count(*) FROM `+table)
	must(t, err)
	return n
}

// patient makes a call again that lost to others three times over, or waited too
// long for them: nothing was changed, and callers are told to retry.
func patient(call func() error) error {
	for tries := 1; ; tries++ {
		err := call()
		if tries == 20 || !fault.Is(err, fault.CodeSubsystemDegraded) && !fault.Is(err, fault.CodeDeadlineExceeded) {
			return err
		}
	}
}

// together runs n calls at once and returns what each gave.
func together[R any](n int, call func(i int) (R, error)) ([]R, []error) {
	results, errs := make([]R, n), make([]error, n)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			results[i], errs[i] = call(i)
		})
	}
	close(begin)
	wg.Wait()
	return results, errs
}

// codes counts errors by code; "" counts successes.
func codes(errs []error) map[fault.Code]int {
	out := map[fault.Code]int{}
	for _, err := range errs {
		if err == nil {
			out[""]++
			continue
		}
		out[fault.As(err).Code]++
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("err = %v, want %s", err, code)
	}
}

// failure is err as a fault, which has to have code.
func failure(t testing.TB, err error, code fault.Code) *fault.Error {
	t.Helper()
	wantCode(t, err, code)
	return fault.As(err)
}

// detail is the message of the detail about a field.
func detail(t testing.TB, e *fault.Error, field string) string {
	t.Helper()
	for _, d := range e.Details {
		if d.Field == field {
			return d.Message
		}
	}
	t.Fatalf("no detail about %s in %+v", field, e.Details)
	return ""
}

func number(i int) string { return fmt.Sprintf("+1415555%04d", 2000+i) }
