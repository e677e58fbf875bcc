package checkout_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/adapters/phone"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/journal"
	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	tenancystore "github.com/feddi/feddi/adapters/postgres/tenancy"
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	uses "github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/disputes"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/app/points"
	"github.com/feddi/feddi/core/app/returns"
	"github.com/feddi/feddi/core/app/timeline"
	"github.com/feddi/feddi/core/app/topup"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	core "github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/plugins/attribution"
	"github.com/feddi/feddi/plugins/cashback"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/wire"
	"github.com/feddi/feddi/plugins/wallet"
)

var start = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// shop is a merchant on a database of its own, with every use case that a
// session meets.
type shop struct {
	*uses.Service
	t            *testing.T
	db           *pg.DB
	clock        *clock.Manual
	ids          *ids.Source
	uow          *postgres.UnitOfWork
	tenant       tenancy.Tenant
	actuators    *actuators
	offers       *incentives.Service
	payments     *payments.Service
	topups       *topup.Service
	transactions *transactions.Service
	timeline     *timeline.Service
	points       *points.Service
	returns      *returns.Service
	disputes     *disputes.Service
}

func newShop(t *testing.T, change ...func(*tenancy.Settings)) *shop {
	t.Helper()
	s := &shop{t: t, db: pgtest.New(t), clock: clock.NewManual(start), actuators: newActuators(t)}
	s.ids = ids.New(s.clock)
	s.uow = postgres.New(s.db, nil, nil)
	s.merchant(change)
	directory := tenancystore.NewDirectory(s.db)
	planner := &actuation.Planner{Registry: s.actuators}
	rules, err := celrules.New()
	s.must(err)
	known := &identities.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory, Phones: phone.Numbers{}}
	s.offers = &incentives.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory, Rules: rules}
	s.transactions = &transactions.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory, Planner: planner}
	s.topups = &topup.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory}
	s.payments = &payments.Service{
		UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory, Pipeline: s.pipeline(planner), Random: rand.Reader,
		Resolve: known.Resolve, Guesses: &known.Guesses,
	}
	s.timeline = &timeline.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory}
	s.points = &points.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory}
	s.returns = &returns.Service{
		UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory, Transactions: s.transactions, Incentives: s.offers, Points: s.points,
	}
	s.disputes = &disputes.Service{UoW: s.uow, Clock: s.clock, IDs: s.ids, Returns: s.returns}
	s.Service = &uses.Service{
		UoW: s.uow, Clock: s.clock, IDs: s.ids, Directory: directory, Identities: known, Incentives: s.offers, Transactions: s.transactions,
	}
	return s
}

func (s *shop) pipeline(planner *actuation.Planner) *payments.Pipeline {
	books, err := journal.Open(s.t.Context(), s.db, 2)
	s.must(err)
	s.t.Cleanup(books.Close)
	p := &payments.Pipeline{Journal: books, Planner: planner, Clock: s.clock, IDs: s.ids}
	p.Start()
	s.t.Cleanup(p.Stop)
	return p
}

func (s *shop) merchant(change []func(*tenancy.Settings)) {
	s.t.Helper()
	store := tenancystore.New(s.db.Q())
	partner := tenancy.Partner{ID: s.ids.Make(ids.Partner), Name: "Partner", Sandbox: true, CreatedAt: start}
	s.must(store.AddPartner(s.t.Context(), partner))
	set := tenancy.DefaultSettings("USD")
	for _, f := range change {
		f(&set)
	}
	m, err := store.AddMerchant(s.t.Context(), tenancy.Merchant{
		ID: s.ids.Make(ids.Merchant), PartnerID: partner.ID, Mode: tenancy.Sandbox, Name: "Bean & Leaf",
		Status: tenancy.MerchantActive, Settings: set, CreatedAt: start,
	})
	s.must(err)
	s.tenant = m.Tenant()
	s.must(store.AddBrand(s.t.Context(), s.tenant, tenancy.Brand{ID: "brd_1", MerchantID: m.ID, Name: "Bean", CreatedAt: start}))
	s.must(store.AddBranch(s.t.Context(), s.tenant, tenancy.Branch{ID: "brn_1", MerchantID: m.ID, BrandID: "brd_1", Name: "Harbour Street", CreatedAt: start}))
	_, err = s.uow.Read().Ledger.SetTiers(s.t.Context(), s.tenant, core.Tiers{Currency: "USD", Steps: []core.Tier{
		{MinTopupMinor: 1000, BonusMinor: 50}, {MinTopupMinor: 2500, BonusMinor: 250}, {MinTopupMinor: 5000, BonusMinor: 750},
	}}, start)
	s.must(err)
}

// seed lays down the offers of a sandbox.
func (s *shop) seed() {
	s.t.Helper()
	s.must(s.uow.Do(s.t.Context(), func(ctx context.Context, st app.Stores) error {
		_, err := s.offers.Seed(ctx, st, s.tenant, "USD", start)
		return err
	}))
}

// guest enrols a customer with a wallet.
func (s *shop) guest(phone string, state identity.State) string {
	s.t.Helper()
	var c identity.Customer
	s.must(s.uow.Do(s.t.Context(), func(ctx context.Context, st app.Stores) (err error) {
		c = identity.Customer{ID: s.ids.Make(ids.Customer), Tenant: s.tenant, Phone: phone, State: state, Status: identity.Active, CreatedAt: start}
		if state == identity.Verified {
			c.VerifiedAt = &start
		}
		if c, _, err = st.Identity.Enrol(ctx, c); err != nil {
			return err
		}
		return st.Ledger.OpenWallet(ctx, s.tenant, c.ID, "USD")
	}))
	return c.ID
}

func byPhone(phone string) identity.Credential {
	return identity.Credential{Type: identity.Phone, Value: phone}
}

// code mints a single-use QR code.
func (s *shop) code(customer string) identity.Credential {
	s.t.Helper()
	c := identity.Credential{Type: identity.QR, Value: uuid.NewString()}
	_, err := s.uow.Read().Identity.AddCode(s.t.Context(), identity.PaymentCode{
		Hash: identity.HashCode(s.tenant, c), Tenant: s.tenant, CustomerID: customer, Type: c.Type, ExpiresAt: s.clock.Now().Add(10 * time.Minute),
	})
	s.must(err)
	return c
}

// coffee is the basket of the golden path.
func coffee() checkout.Draft {
	return checkout.Draft{Lines: []checkout.Line{
		{LineID: "1", SKU: "LATTE", Name: "Caffe latte", Category: "coffee", Quantity: 2, UnitPriceMinor: 450},
		{LineID: "2", SKU: "CROISSANT", Category: "bakery", Quantity: 1, UnitPriceMinor: 375},
	}}
}

func cash(amount int64) []checkout.Tender {
	return []checkout.Tender{{Type: "cash", AmountMinor: amount}}
}

// call is a till's call of an operation under a fresh key.
func (s *shop) call(operation string) *app.Call { return s.callWith(operation, uuid.NewString()) }

func (s *shop) callWith(operation, key string) *app.Call {
	return &app.Call{
		Operation: operation, Tenant: s.tenant, BrandID: "brd_1", BranchID: "brn_1", TerminalID: "trm_1", CashierID: "c-17", Locale: "en-US",
		Actor: tenancy.Actor{Kind: tenancy.KeyCall, PartnerID: s.tenant.PartnerID, Mode: tenancy.Sandbox, Merchants: []string{s.tenant.MerchantID}},
		Pin: &app.Pin{
			Scope:       idempotency.Scope{PartnerID: s.tenant.PartnerID, Mode: tenancy.Sandbox, Operation: operation, Key: key},
			PayloadHash: sha256.Sum256([]byte(operation)),
			Encode: func(result any, declined *fault.Error) (idempotency.Outcome, error) {
				out := idempotency.Outcome{Status: 200, Body: []byte("{}")}
				if c, ok := result.(uses.Closed); ok {
					out.Body = []byte(c.Sale.Transaction.ID)
				}
				if declined != nil {
					out = idempotency.Outcome{Status: 402, Body: []byte(declined.Code)}
				}
				return out, nil
			},
		},
	}
}

// open opens a session with a basket, for a phone where one is given.
func (s *shop) open(phone string, d checkout.Draft) checkout.Session {
	s.t.Helper()
	in := uses.OpenInput{Currency: "USD", Basket: &d}
	if phone != "" {
		c := byPhone(phone)
		in.Credential = &c
	}
	out, err := s.Open(s.t.Context(), s.call("openCheckoutSession"), in)
	s.must(err)
	return out.View.Session
}

func (s *shop) close(session string, tenders []checkout.Tender) uses.Closed {
	s.t.Helper()
	out, err := s.Close(s.t.Context(), s.call("closeCheckoutSession"), uses.CloseInput{SessionID: session, Tenders: tenders})
	s.must(err)
	return out
}

// topUp credits a wallet.
func (s *shop) topUp(customer string, amount int64) {
	s.t.Helper()
	top, err := s.topups.Prepare(s.t.Context(), s.call("prepareTopup"), topup.PrepareInput{CustomerID: customer, AmountMinor: amount, Currency: "USD"})
	s.must(err)
	_, err = s.topups.Confirm(s.t.Context(), s.call("confirmTopup"), topup.ConfirmInput{TopupID: top.Topup.ID, Reference: "ref-" + top.Topup.ID})
	s.must(err)
}

func (s *shop) pay(session string, credential identity.Credential, amount int64) core.Payment {
	s.t.Helper()
	paid, err := s.payments.Authorize(s.t.Context(), s.call("paymentAuthorize"), payments.AuthorizeInput{
		SessionID: session, AmountMinor: amount, Currency: "USD", Credential: credential,
	})
	s.must(err)
	return paid.Payment
}

func (s *shop) session(id string) checkout.Session {
	s.t.Helper()
	c, err := s.uow.Read().Checkout.Session(s.t.Context(), s.tenant, id)
	s.must(err)
	return c
}

func (s *shop) balance(customer string) core.Balance {
	s.t.Helper()
	b, err := s.uow.Read().Ledger.Balance(s.t.Context(), s.tenant, customer)
	s.must(err)
	return b.At(s.clock.Now())
}

// events lists the types of what was told about, oldest first.
func (s *shop) events(types ...string) []event.Event {
	s.t.Helper()
	type row struct {
		EventID, Type, Subject string
		Data                   json.RawMessage
	}
	rows, err := pg.Many[row](s.t.Context(), s.db.Q(), `select event_id, type, subject, data from events where tenant_no = $1 order by xid, position`, s.tenant.No)
	s.must(err)
	var out []event.Event
	for _, r := range rows {
		if len(types) == 0 || slices.Contains(types, r.Type) {
			out = append(out, event.Event{ID: r.EventID, Tenant: s.tenant, Type: r.Type, Subject: r.Subject, Data: r.Data})
		}
	}
	return out
}

func (s *shop) count(sql string, args ...any) int64 {
	s.t.Helper()
	n, err := pg.One[int64](s.t.Context(), s.db.Q(), sql, args...)
	s.must(err)
	return n
}

// sound fails the test where a figure does not follow from the postings.
func (s *shop) sound() {
	s.t.Helper()
	_, findings, err := core.Verify(s.t.Context(), ledger.NewAudit(s.db), func(f core.Finding) { s.t.Error(f) })
	if err != nil || findings > 0 {
		s.t.Fatalf("verify: %d findings, %v", findings, err)
	}
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("err = %v, want %s", err, code)
	}
}

// actuators are the three first-party actuators behind their real wire form.
type actuators struct {
	mu   sync.Mutex
	by   map[actuation.Kind]*direct
	down map[actuation.Kind]bool
	// asked, where set, runs before each batch of cashback decisions.
	asked func()
}

func newActuators(t *testing.T) *actuators {
	t.Helper()
	a := &actuators{by: map[actuation.Kind]*direct{}, down: map[actuation.Kind]bool{}}
	for _, plugin := range []sdk.Actuator{wallet.Wallet{}, cashback.Cashback{}, attribution.Attribution{}} {
		server := sdk.NewServer(plugin)
		d, err := server.Describe(t.Context(), &actuatorv1.DescribeRequest{})
		if err != nil {
			t.Fatal(err)
		}
		one := &direct{server: server, manifest: wire.Manifest(d.GetManifest()), all: a}
		for _, kind := range one.manifest.DecisionKinds {
			a.by[kind] = one
		}
	}
	return a
}

// fail takes the actuators of kinds down, or up again where none is given.
func (a *actuators) fail(kinds ...actuation.Kind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = map[actuation.Kind]bool{}
	for _, k := range kinds {
		a.down[k] = true
	}
}

// For implements actuation.Registry: one that is down is not found.
func (a *actuators) For(kind actuation.Kind, _ string) (actuation.Actuator, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by[kind] == nil || a.down[kind] {
		return nil, actuation.Unavailable(string(kind), errors.New("not running"))
	}
	return a.by[kind], nil
}

// All implements actuation.Registry.
func (a *actuators) All() []actuation.Status { return nil }

type direct struct {
	server   actuatorv1.ActuatorServer
	manifest actuation.Manifest
	all      *actuators
}

func (d *direct) Manifest() actuation.Manifest { return d.manifest }

func (d *direct) PlanBatch(ctx context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	d.all.mu.Lock()
	asked := d.all.asked
	d.all.mu.Unlock()
	if asked != nil && batch[0].Kind == actuation.KindCashback {
		asked()
	}
	res, err := d.server.PlanBatch(ctx, wire.PlanBatchRequest(batch))
	if err != nil {
		return nil, actuation.Unavailable(d.manifest.Name, err)
	}
	return wire.Plans(res), nil
}

// broken is an actuator that describes itself and plans nothing.
type broken struct{ actuatorv1.ActuatorServer }

func (broken) PlanBatch(context.Context, *actuatorv1.PlanBatchRequest) (*actuatorv1.PlanBatchResponse, error) {
	return nil, errors.New("out of order")
}
