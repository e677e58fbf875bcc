package offers

import (
	"context"
	"slices"
	"strings"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// counter is one row of offer_uses that an application counts in, with the
// limit it is held against.
type counter struct {
	scope, limit string
	most         int64
}

// scopes of the counters.
func totalScope() string                    { return "t" }
func dayScope(day string) string            { return "d:" + day }
func customerScope(customer string) string  { return "c:" + customer }
func bothScope(day, customer string) string { return "x:" + day + ":" + customer }

// countersOf lists the counters that an offer's limits need, in the order in
// which every taker locks them.
func countersOf(l offers.Limits, customerID, day string) []counter {
	all := []counter{
		{customerScope(customerID), "per_customer", l.PerCustomer},
		{dayScope(day), "per_day", l.PerDay},
		{totalScope(), "total", l.Total},
		{bothScope(day, customerID), "per_customer_per_day", l.PerCustomerPerDay},
	}
	return slices.DeleteFunc(all, func(c counter) bool { return c.most == 0 })
}

const readUses = `
select offer_id, scope, uses from offer_uses
where tenant_no = $1 and offer_id = any($2) and scope = any($3)`

// Uses implements offers.Applications.
func (s *Store) Uses(ctx context.Context, t tenancy.Tenant, offerIDs []string, customerID, day string) ([]offers.Use, error) {
	scopes := []string{totalScope(), dayScope(day)}
	if customerID != "" {
		scopes = append(scopes, customerScope(customerID), bothScope(day, customerID))
	}
	rows, err := pg.Many[struct {
		OfferID, Scope string
		Uses           int64
	}](ctx, s.q, readUses, t.No, offerIDs, scopes)
	if err != nil {
		return nil, err
	}
	byOffer := map[string]*offers.Use{}
	for _, r := range rows {
		u := byOffer[r.OfferID]
		if u == nil {
			u = &offers.Use{OfferID: r.OfferID}
			byOffer[r.OfferID] = u
		}
		switch r.Scope[0] {
		case 't':
			u.Total = r.Uses
		case 'd':
			u.Today = r.Uses
		case 'c':
			u.Customer = r.Uses
		case 'x':
			u.CustomerToday = r.Uses
		}
	}
	out := make([]offers.Use, 0, len(byOffer))
	for _, u := range byOffer {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b offers.Use) int { return strings.Compare(a.OfferID, b.OfferID) })
	return out, nil
}

// take counts one more, and waits for whoever else counts in the same row: its
// lock is held until the transaction ends.
const take = `
insert into offer_uses (tenant_no, offer_id, scope, uses) values ($1, $2, $3, 1)
on conflict (tenant_no, offer_id, scope) do update set uses = offer_uses.uses + 1
returning uses`

// Take implements offers.Applications.
func (s *Store) Take(ctx context.Context, t tenancy.Tenant, offerID string, l offers.Limits, customerID, day string) (string, error) {
	for _, c := range countersOf(l, customerID, day) {
		uses, err := pg.One[int64](ctx, s.q, take, t.No, offerID, c.scope)
		if err != nil {
			return "", err
		}
		if uses > c.most {
			return c.limit, nil
		}
	}
	return "", nil
}

const giveBack = `
update offer_uses set uses = uses - 1 where tenant_no = $1 and offer_id = $2 and scope = $3 and uses > 0`

// GiveBack implements offers.Applications.
func (s *Store) GiveBack(ctx context.Context, t tenancy.Tenant, offerID string, l offers.Limits, customerID, day string) error {
	for _, c := range countersOf(l, customerID, day) {
		if _, err := s.q.Exec(ctx, giveBack, t.No, offerID, c.scope); err != nil {
			return err
		}
	}
	return nil
}
