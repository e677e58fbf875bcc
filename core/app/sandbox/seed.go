package sandbox

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// OfferSource lays offers down for a new sandbox and returns their ids; the
// incentives service is one.
type OfferSource interface {
	Seed(ctx context.Context, st app.Stores, t tenancy.Tenant, currency string, now time.Time) ([]string, error)
}

// Offers seeds the offers of From.
type Offers struct{ From OfferSource }

// Seed implements Seeder.
func (o Offers) Seed(ctx context.Context, st app.Stores, m tenancy.Merchant, now time.Time) (Seeded, error) {
	made, err := o.From.Seed(ctx, st, m.Tenant(), m.Settings.Currencies[0], now)
	return Seeded{Offers: made}, err
}

// Topups seeds the reload bonus and one top-up SKU.
type Topups struct{}

// SKU is the code of the seeded top-up SKU: 20.00 with a bonus of 2.00.
const SKU = "TOPUP-20"

// Seed implements Seeder.
func (Topups) Seed(ctx context.Context, st app.Stores, m tenancy.Merchant, now time.Time) (Seeded, error) {
	t, currency := m.Tenant(), m.Settings.Currencies[0]
	_, err := st.Ledger.SetTiers(ctx, t, ledger.Tiers{Currency: currency, Steps: []ledger.Tier{
		{MinTopupMinor: 1000, BonusMinor: 50}, {MinTopupMinor: 2500, BonusMinor: 250}, {MinTopupMinor: 5000, BonusMinor: 750},
	}}, now)
	if err != nil {
		return Seeded{}, err
	}
	_, _, err = st.Ledger.PutSKU(ctx, ledger.SKU{
		ID: SKU, Tenant: t, Name: "Gift top-up 20", ValueMinor: 2000, BonusMinor: 200, Currency: currency,
		Active: true, CreatedAt: now, UpdatedAt: now,
	})
	return Seeded{SKUs: []string{SKU}}, err
}

// Guest seeds one customer whose phone is verified, with an empty wallet.
type Guest struct{ IDs *ids.Source }

// GuestPhone is the phone of the seeded customer.
const GuestPhone = "+14155550101"

// Seed implements Seeder.
func (g Guest) Seed(ctx context.Context, st app.Stores, m tenancy.Merchant, now time.Time) (Seeded, error) {
	t := m.Tenant()
	c, _, err := st.Identity.Enrol(ctx, identity.Customer{
		ID: g.IDs.Make(ids.Customer), Tenant: t, Phone: GuestPhone, Name: "Sandbox Guest",
		State: identity.PendingProof, Status: identity.Active, CreatedAt: now,
	})
	if err != nil {
		return Seeded{}, err
	}
	if _, err := st.Identity.MarkVerified(ctx, t, c.ID, now); err != nil {
		return Seeded{}, err
	}
	if err := st.Ledger.OpenWallet(ctx, t, c.ID, m.Settings.Currencies[0]); err != nil {
		return Seeded{}, err
	}
	verified := identity.VerifiedEvent(t, c.ID, "", g.IDs.Make(ids.Event), now)
	return Seeded{Customers: []Customer{{c.ID, GuestPhone}}}, st.Events.Append(ctx, verified)
}
