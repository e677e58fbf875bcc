package ledger_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/postgres"
	identitystore "github.com/feddi/feddi/adapters/postgres/identity"
	"github.com/feddi/feddi/adapters/postgres/journal"
	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	tenancystore "github.com/feddi/feddi/adapters/postgres/tenancy"
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/wire"
	"github.com/feddi/feddi/plugins/wallet"
)

var start = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// bench is a merchant on a database of its own, with every use case of money.
type bench struct {
	db       *pg.DB
	uow      *postgres.UnitOfWork
	clock    *clock.Manual
	ids      *ids.Source
	tenant   tenancy.Tenant
	journal  *journal.Journal
	actuator *direct
	own      registry
	payments *payments.Service
	topups   *topup.Service
	grants   *grants.Service
	returns  *returns.Service
}

func setup(t testing.TB, change ...func(*tenancy.Settings)) *bench {
	t.Helper()
	b := &bench{db: pgtest.New(t), clock: clock.NewManual(start), actuator: newDirect(wallet.Wallet{})}
	b.own = registry{"": b.actuator}
	b.ids = ids.New(b.clock)
	b.uow = postgres.New(b.db, nil, nil)
	b.tenant = b.merchant(t, change...)
	b.journal = b.open(t)
	directory := tenancystore.NewDirectory(b.db)
	pipeline := b.pipeline(b.journal)
	pipeline.Start()
	t.Cleanup(pipeline.Stop)
	b.payments = &payments.Service{
		UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory, Pipeline: pipeline, Random: rand.Reader,
		Resolve: b.resolve, Prove: b.prove, Guesses: &identities.Guesses{},
	}
	b.topups = &topup.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory}
	b.grants = &grants.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory}
	b.returns = &returns.Service{
		UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory,
		Transactions: &transactions.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory},
		Incentives:   &incentives.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory},
		Points:       &points.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: directory},
	}
	return b
}

func (b *bench) open(t testing.TB) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), b.db, 2)
	must(t, err)
	t.Cleanup(j.Close)
	return j
}

func (b *bench) pipeline(j payments.Journal) *payments.Pipeline {
	return &payments.Pipeline{Journal: j, Planner: &actuation.Planner{Registry: b.own}, Clock: b.clock, IDs: b.ids}
}

func (b *bench) merchant(t testing.TB, change ...func(*tenancy.Settings)) tenancy.Tenant {
	t.Helper()
	store := tenancystore.New(b.db.Q())
	partner := tenancy.Partner{ID: b.ids.Make(ids.Partner), Name: "Partner", Sandbox: true, CreatedAt: start}
	must(t, store.AddPartner(t.Context(), partner))
	set := tenancy.DefaultSettings("USD")
	for _, f := range change {
		f(&set)
	}
	m, err := store.AddMerchant(t.Context(), tenancy.Merchant{
		ID: b.ids.Make(ids.Merchant), PartnerID: partner.ID, Mode: tenancy.Sandbox, Name: "Merchant",
		Status: tenancy.MerchantActive, Settings: set, CreatedAt: start,
	})
	must(t, err)
	_, err = b.uow.Read().Ledger.SetTiers(t.Context(), m.Tenant(), core.Tiers{Currency: "USD", Steps: goldenTiers}, start)
	must(t, err)
	return m.Tenant()
}

var goldenTiers = []core.Tier{{MinTopupMinor: 1000, BonusMinor: 50}, {MinTopupMinor: 2500, BonusMinor: 250}, {MinTopupMinor: 5000, BonusMinor: 750}}

// customer enrols one with a wallet.
func (b *bench) customer(t testing.TB, state identity.State) string {
	t.Helper()
	id := b.ids.Make(ids.Customer)
	_, err := b.db.Q().Exec(t.Context(), `INSERT INTO customers (customer_id, tenant_no, phone, state, created_at) VALUES ($1, $2, $3, $4, $5)`,
		id, b.tenant.No, phoneOf(id), string(state), start)
	must(t, err)
	must(t, b.uow.Read().Ledger.OpenWallet(t.Context(), b.tenant, id, "USD"))
	return id
}

func phoneOf(customer string) string {
	sum := sha256.Sum256([]byte(customer))
	return fmt.Sprintf("+1415%010d", binary.BigEndian.Uint32(sum[:4])) // so many that two alike are rare
}

// code mints a single-use code.
func (b *bench) code(t testing.TB, customer string) identity.Credential {
	t.Helper()
	c := identity.Credential{Type: identity.QR, Value: uuid.NewString()}
	_, err := identitystore.New(b.db.Q()).AddCode(t.Context(), identity.PaymentCode{
		Hash: identity.HashCode(b.tenant, c), Tenant: b.tenant, CustomerID: customer, Type: c.Type, ExpiresAt: b.clock.Now().Add(10 * time.Minute),
	})
	must(t, err)
	return c
}

// resolve is a phone look-up; the real one needs the phone adapter.
func (b *bench) resolve(ctx context.Context, st app.Stores, t tenancy.Tenant, c identity.Credential, _ time.Time) (identity.Resolution, error) {
	if c.Type != identity.Phone {
		code, err := st.Identity.Code(ctx, t, identity.HashCode(t, c))
		if err != nil || code == nil {
			return identity.Resolution{}, err
		}
		customer, err := st.Identity.Customer(ctx, t, code.CustomerID)
		return identity.Resolution{Customer: &customer, Via: c.Type}, err
	}
	customer, err := st.Identity.CustomerByPhone(ctx, t, c.Value)
	return identity.Resolution{Customer: customer, Via: c.Type}, err
}

func (b *bench) prove(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string, now time.Time) error {
	if _, err := st.Identity.MarkVerified(ctx, t, customerID, now); err != nil {
		return err
	}
	_, err := grants.Release(ctx, st, t, tenancy.GateOnVerification, customerID, now)
	return err
}

// call makes a call of an operation under a fresh key.
func (b *bench) call(operation string) *app.Call { return b.callWith(operation, uuid.NewString()) }

func (b *bench) callWith(operation, key string) *app.Call {
	return &app.Call{
		Operation: operation, Tenant: b.tenant, TerminalID: "trm_1", BranchID: "brn_1",
		Actor: tenancy.Actor{Kind: tenancy.KeyCall, PartnerID: b.tenant.PartnerID, Mode: tenancy.Sandbox, Operator: true, Merchants: []string{b.tenant.MerchantID}},
		Pin: &app.Pin{
			Scope:       idempotency.Scope{PartnerID: b.tenant.PartnerID, Mode: tenancy.Sandbox, Operation: operation, Key: key},
			PayloadHash: sha256.Sum256([]byte(operation)),
			Encode: func(result any, declined *fault.Error) (idempotency.Outcome, error) {
				o := idempotency.Outcome{Status: 200, Body: []byte("{}")}
				if declined != nil {
					o = idempotency.Outcome{Status: 402, Body: []byte(declined.Code)}
				} else if r, ok := result.(payments.Result); ok {
					o = idempotency.Outcome{Status: 201, Body: []byte(r.Payment.ID)}
				}
				return o, nil
			},
		},
	}
}

func (b *bench) pay(t testing.TB, credential identity.Credential, amount int64) (payments.Result, error) {
	t.Helper()
	return b.payments.Authorize(t.Context(), b.call("paymentAuthorize"), payments.AuthorizeInput{AmountMinor: amount, Currency: "USD", Credential: credential})
}

func (b *bench) topUp(t testing.TB, customer string, amount int64) topup.Outcome {
	t.Helper()
	top, err := b.topups.Prepare(t.Context(), b.call("prepareTopup"), topup.PrepareInput{CustomerID: customer, AmountMinor: amount, Currency: "USD"})
	must(t, err)
	done, err := b.topups.Confirm(t.Context(), b.call("confirmTopup"), topup.ConfirmInput{TopupID: top.Topup.ID, Reference: "ref-" + top.Topup.ID})
	must(t, err)
	return done
}

func (b *bench) balance(t testing.TB, customer string) core.Balance {
	t.Helper()
	balance, err := b.topups.Balance(t.Context(), b.call("getWalletBalance"), customer)
	must(t, err)
	return balance
}

// sound fails the test where a figure does not follow from the postings.
func (b *bench) sound(t testing.TB) core.Examined {
	t.Helper()
	n, findings, err := core.Verify(context.Background(), ledger.NewAudit(b.db), func(f core.Finding) { t.Error(f) })
	if err != nil || findings > 0 {
		t.Fatalf("verify: %d findings, %v", findings, err)
	}
	return n
}

func (b *bench) count(t testing.TB, sql string, args ...any) int64 {
	t.Helper()
	n, err := pg.One[int64](t.Context(), b.db.Q(), sql, args...)
	must(t, err)
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	_ = faultOf(t, err, code)
}

// faultOf is err as a fault of code; the test fails where it is none.
func faultOf(t testing.TB, err error, code fault.Code) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return f
}

// direct is an actuator as a Go value behind its real wire form.
type direct struct {
	server   actuatorv1.ActuatorServer
	manifest actuation.Manifest
	// before, where set, runs ahead of each batch.
	before func(batch []actuation.Snapshot) error
}

func newDirect(a sdk.Actuator) *direct {
	server := sdk.NewServer(a)
	d, err := server.Describe(context.Background(), &actuatorv1.DescribeRequest{})
	if err != nil {
		panic(err)
	}
	return &direct{server: server, manifest: wire.Manifest(d.GetManifest())}
}

func (d *direct) Manifest() actuation.Manifest { return d.manifest }

func (d *direct) PlanBatch(ctx context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	if d.before != nil {
		if err := d.before(batch); err != nil {
			return nil, err
		}
	}
	res, err := d.server.PlanBatch(ctx, wire.PlanBatchRequest(batch))
	if err != nil {
		return nil, err
	}
	return wire.Plans(res), nil
}

// registry knows the actuators of merchants; the one of "" serves all others.
type registry map[string]*direct

func (r registry) For(_ actuation.Kind, merchantID string) (actuation.Actuator, error) {
	if d, ok := r[merchantID]; ok {
		return d, nil
	}
	return r[""], nil
}

func (r registry) All() []actuation.Status { return nil }
