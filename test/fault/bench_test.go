package fault_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/pluginhost"
	"github.com/feddi/feddi/adapters/postgres"
	storeidentity "github.com/feddi/feddi/adapters/postgres/identity"
	"github.com/feddi/feddi/adapters/postgres/journal"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	storetenancy "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/test/internal/rig"
	"github.com/feddi/feddi/test/internal/trade"
)

// bench is the real payment pipeline on a real database, with an actuator of
// the test's choice as a real process.
type bench struct {
	t         *testing.T
	db        *pg.DB
	books     *trade.Books
	uow       *postgres.UnitOfWork
	ids       *ids.Source
	host      *pluginhost.Host
	payments  *payments.Service
	topups    *topup.Service
	directory tenancy.Directory
	phones    atomic.Int64

	mu       sync.Mutex
	rejected []*actuation.Rejected
}

// setup starts the bench; actuator and what follows are its command line.
func setup(t *testing.T, actuator ...string) *bench {
	t.Helper()
	dsn := pgtest.DSN(t)
	db, err := pg.Connect(t.Context(), dsn, pg.Options{})
	rig.Must(t, err)
	t.Cleanup(db.Close)
	b := &bench{t: t, db: db, books: rig.Books(t, dsn), uow: postgres.New(db, nil, nil), ids: ids.New(clock.System{})}
	b.host, err = pluginhost.New(pluginhost.Config{
		Specs:  []pluginhost.Spec{pluginhost.Self("wallet", append([]string{"actuator"}, actuator...)...)},
		Logger: slog.New(slog.DiscardHandler), Dir: shortDir(t),
		BreakerTrips: 50, // a liar is asked again and again
	})
	rig.Must(t, err)
	rig.Must(t, b.host.Start(t.Context()))
	t.Cleanup(func() { _ = b.host.Stop(context.WithoutCancel(t.Context())) }) // its process ends with us at the latest
	rig.Must(t, b.host.WaitReady(t.Context()))

	books, err := journal.Open(t.Context(), db, 0)
	rig.Must(t, err)
	t.Cleanup(books.Close)
	pipeline := &payments.Pipeline{
		Journal: books, Planner: &actuation.Planner{Registry: b.host, Rejected: b.reject}, Clock: clock.System{}, IDs: b.ids,
	}
	pipeline.Start()
	t.Cleanup(pipeline.Stop)
	b.directory = storetenancy.NewDirectory(db)
	b.payments = &payments.Service{UoW: b.uow, Clock: clock.System{}, IDs: b.ids, Directory: b.directory, Pipeline: pipeline, Random: rand.Reader}
	b.topups = &topup.Service{UoW: b.uow, Clock: clock.System{}, IDs: b.ids, Directory: b.directory}
	return b
}

func (b *bench) reject(r *actuation.Rejected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rejected = append(b.rejected, r)
}

// rules are the rules that plans broke, each with how often.
func (b *bench) rules() map[actuation.Rule]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[actuation.Rule]int{}
	for _, r := range b.rejected {
		counts[r.Rule]++
	}
	return counts
}

func (b *bench) merchant() tenancy.Tenant {
	b.t.Helper()
	store, now := storetenancy.New(b.db.Q()), time.Now()
	partner := tenancy.Partner{ID: b.ids.Make(ids.Partner), Name: "Partner", Sandbox: true, CreatedAt: now}
	rig.Must(b.t, store.AddPartner(b.t.Context(), partner))
	m, err := store.AddMerchant(b.t.Context(), tenancy.Merchant{
		ID: b.ids.Make(ids.Merchant), PartnerID: partner.ID, Mode: tenancy.Sandbox, Name: "Merchant",
		Status: tenancy.MerchantActive, Settings: tenancy.DefaultSettings("USD"), CreatedAt: now,
	})
	rig.Must(b.t, err)
	return m.Tenant()
}

// customer has actual money and lots, which expire a day after each other but
// for the last one, which never does.
func (b *bench) customer(tn tenancy.Tenant, actual int64, lots ...int64) string {
	b.t.Helper()
	ctx, now, id := b.t.Context(), time.Now(), b.ids.Make(ids.Customer)
	_, err := b.db.Q().Exec(ctx, `INSERT INTO customers (customer_id, tenant_no, phone, state, created_at) VALUES ($1, $2, $3, 'VERIFIED', $4)`,
		id, tn.No, fmt.Sprintf("+1415%07d", b.phones.Add(1)), now)
	rig.Must(b.t, err)
	rig.Must(b.t, b.uow.Read().Ledger.OpenWallet(ctx, tn, id, "USD"))
	if actual > 0 {
		top, err := b.topups.Prepare(ctx, b.call(tn, "prepareTopup", uuid.NewString()), topup.PrepareInput{CustomerID: id, AmountMinor: actual, Currency: "USD"})
		rig.Must(b.t, err)
		_, err = b.topups.Confirm(ctx, b.call(tn, "confirmTopup", uuid.NewString()), topup.ConfirmInput{TopupID: top.Topup.ID, Reference: top.Topup.ID})
		rig.Must(b.t, err)
	}
	for i, amount := range lots {
		expires := now.AddDate(0, 0, 1+i)
		in := grants.IssueInput{
			Tenant: tn, CustomerID: id, Source: ledger.SourceGoodwill, AmountMinor: amount, Currency: "USD", Gate: tenancy.GateOnVerification, Now: now,
		}
		if i < len(lots)-1 {
			in.ExpiresAt = &expires
		}
		rig.Must(b.t, b.uow.Do(ctx, func(ctx context.Context, st app.Stores) error {
			_, err := grants.Issue(ctx, st, in)
			return err
		}))
	}
	return id
}

// code mints a single-use code.
func (b *bench) code(tn tenancy.Tenant, customer string) identity.Credential {
	b.t.Helper()
	c := identity.Credential{Type: identity.QR, Value: uuid.NewString()}
	_, err := storeidentity.New(b.db.Q()).AddCode(b.t.Context(), identity.PaymentCode{
		Hash: identity.HashCode(tn, c), Tenant: tn, CustomerID: customer, Type: c.Type, ExpiresAt: time.Now().Add(10 * time.Minute),
	})
	rig.Must(b.t, err)
	return c
}

// call makes a call of an operation under a key.
func (b *bench) call(tn tenancy.Tenant, operation, key string) *app.Call {
	return &app.Call{
		Operation: operation, Tenant: tn,
		Actor: tenancy.Actor{Kind: tenancy.KeyCall, PartnerID: tn.PartnerID, Mode: tenancy.Sandbox, Operator: true, Merchants: []string{tn.MerchantID}},
		Pin: &app.Pin{
			Scope:       idempotency.Scope{PartnerID: tn.PartnerID, Mode: tenancy.Sandbox, Operation: operation, Key: key},
			PayloadHash: sha256.Sum256([]byte(operation)),
			Encode: func(_ any, declined *fault.Error) (idempotency.Outcome, error) {
				o := idempotency.Outcome{Status: 201, Body: []byte("{}")}
				if declined != nil {
					o = idempotency.Outcome{Status: 402, Body: []byte(declined.Code)}
				}
				return o, nil
			},
		},
	}
}

// pay sends a payment; with a key of before it is sent again.
func (b *bench) pay(tn tenancy.Tenant, key string, code identity.Credential, amount int64) (payments.Result, error) {
	return b.payments.Authorize(b.t.Context(), b.call(tn, "paymentAuthorize", key), payments.AuthorizeInput{AmountMinor: amount, Currency: "USD", Credential: code})
}

// fingerprint is the digest of all that money is in.
func (b *bench) fingerprint() string {
	b.t.Helper()
	text, err := b.books.Fingerprint(b.t.Context())
	rig.Must(b.t, err)
	return text
}

// refusal is how a refused payment shows to operators: the rule, or the code of
// the failure.
func refusal(err error) string {
	if r := actuation.RejectionOf(err); r != nil {
		return string(r.Rule)
	}
	if f := actuation.FailureOf(err); f != nil {
		return f.Code
	}
	return fmt.Sprint(err)
}
