package incentives_test

import (
	"context"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/celrules"
	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	pgtenancy "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// monday noon UTC.
var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// shop is a merchant on a database of its own, with the use cases under test.
type shop struct {
	*incentives.Service
	t      *testing.T
	db     *pg.DB
	clock  *clock.Manual
	tenant tenancy.Tenant
	call   *app.Call
}

func newShop(t *testing.T) *shop {
	t.Helper()
	db := pgtest.New(t)
	clk := clock.NewManual(noon)
	s := &shop{t: t, db: db, clock: clk}
	s.Service = s.server()
	s.tenant = s.merchant()
	s.call = &app.Call{Tenant: s.tenant}
	return s
}

// server is one more server on the same database.
func (s *shop) server() *incentives.Service {
	rules, err := celrules.New()
	s.must(err)
	return &incentives.Service{
		UoW: postgres.New(s.db, nil, nil), Clock: s.clock, IDs: ids.New(s.clock), Directory: pgtenancy.NewDirectory(s.db), Rules: rules,
	}
}

// merchant adds a merchant and gives its tenant.
func (s *shop) merchant() tenancy.Tenant {
	store := pgtenancy.New(s.db.Q())
	p := tenancy.Partner{ID: s.IDs.Make(ids.Partner), Name: "Partner", Sandbox: true, CreatedAt: noon}
	s.must(store.AddPartner(s.t.Context(), p))
	m, err := store.AddMerchant(s.t.Context(), tenancy.Merchant{
		ID: s.IDs.Make(ids.Merchant), PartnerID: p.ID, Mode: tenancy.Sandbox, Name: "Shop",
		Status: tenancy.MerchantActive, Settings: tenancy.DefaultSettings("USD"), CreatedAt: noon,
	})
	s.must(err)
	return m.Tenant()
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) customer(phone string) string {
	s.t.Helper()
	var c identity.Customer
	s.must(s.UoW.Do(s.t.Context(), func(ctx context.Context, st app.Stores) error {
		var err error
		c, _, err = st.Identity.Enrol(ctx, identity.Customer{
			ID: s.IDs.Make(ids.Customer), Tenant: s.tenant, Phone: phone, State: identity.Verified, Status: identity.Active,
			VerifiedAt: &noon, CreatedAt: noon,
		})
		return err
	}))
	return c.ID
}

// open opens a session with a first basket; customerID may be empty.
func (s *shop) open(customerID string, lines ...checkout.Line) checkout.Session {
	s.t.Helper()
	now := s.clock.Now()
	session := checkout.Session{
		ID: s.IDs.Make(ids.Session), Tenant: s.tenant, Version: 1, State: checkout.Open, Currency: "USD", Origin: checkout.OriginPOS,
		Channel: checkout.DefaultChannel, CustomerID: customerID, OpenedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if customerID != "" {
		session.CredentialType = "phone"
	}
	s.must(s.UoW.Read().Checkout.Insert(s.t.Context(), session))
	if len(lines) == 0 {
		return session
	}
	session, _ = s.revise(session, lines...)
	return session
}

// revise puts the next basket, as checkout does: with the applied offers rechecked.
func (s *shop) revise(session checkout.Session, lines ...checkout.Line) (checkout.Session, []offers.Application) {
	s.t.Helper()
	b := checkout.Basket{SessionID: session.ID, Revision: session.BasketRevision + 1, Currency: "USD", CreatedAt: s.clock.Now()}
	for _, l := range lines {
		l.TotalMinor = l.Quantity * l.UnitPriceMinor
		b.Lines, b.SubtotalMinor, b.TotalMinor = append(b.Lines, l), b.SubtotalMinor+l.TotalMinor, b.TotalMinor+l.TotalMinor
	}
	var released []offers.Application
	s.must(s.UoW.Do(s.t.Context(), func(ctx context.Context, st app.Stores) error {
		current, err := st.Checkout.Lock(ctx, session.Tenant, session.ID)
		if err != nil {
			return err
		}
		var discount int64
		if discount, released, err = s.Recheck(ctx, st, current, b, s.clock.Now()); err != nil {
			return err
		}
		if err := st.Checkout.AddBasket(ctx, session.Tenant, b); err != nil {
			return err
		}
		if current, err = current.Put(b, discount); err != nil {
			return err
		}
		session, err = st.Checkout.Save(ctx, current)
		return err
	}))
	return session, released
}

func line(id, sku, category string, quantity, price int64) checkout.Line {
	return checkout.Line{LineID: id, SKU: sku, Category: category, Quantity: quantity, UnitPriceMinor: price}
}

// coffee is the basket of the golden path: 1275.
func coffee() []checkout.Line {
	return []checkout.Line{line("1", "LATTE", "coffee", 2, 450), line("2", "CROISSANT", "bakery", 1, 375)}
}

// off is a definition that takes amount off each unit of a SKU.
func off(sku string, amount int64) offers.Definition {
	return offers.Definition{
		Kind: offers.ItemDiscount, Title: "Off " + sku,
		Value:   offers.Value{Type: offers.ValueAmount, AmountMinor: amount, Per: offers.PerUnit},
		Targets: offers.Targets{SKUs: []string{sku}},
	}
}

func (s *shop) create(d offers.Definition) offers.Offer {
	s.t.Helper()
	o, err := s.CreateOffer(s.t.Context(), s.call, incentives.CreateOfferInput{Definition: d, Active: true})
	s.must(err)
	return o
}

func (s *shop) feed(session checkout.Session) incentives.FeedResult {
	s.t.Helper()
	f, err := s.SessionOffers(s.t.Context(), s.call, incentives.FeedInput{SessionID: session.ID})
	s.must(err)
	return f
}

func (s *shop) apply(o offers.Offer, session checkout.Session) (incentives.TakeResult, error) {
	return s.ApplyOffer(s.t.Context(), s.call, incentives.TakeInput{OfferID: o.ID, SessionID: session.ID})
}

// count runs a query for one number.
func (s *shop) count(sql string, args ...any) int64 {
	s.t.Helper()
	n, err := pg.One[int64](s.t.Context(), s.db.Q(), sql, args...)
	s.must(err)
	return n
}

func (s *shop) events(kind string) int64 {
	return s.count("select count(*) from events where type = $1", kind)
}

// wants fails unless err is a fault of code.
func wants(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}
