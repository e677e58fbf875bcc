package trials

import (
	"context"
	"slices"

	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
)

// maxCombined bounds how many offers are taken together for a case's worth.
const maxCombined = 10

// try runs one piece of the cases.
func (t *trial) try(ctx context.Context, piece []subject) error {
	cases, err := t.read(ctx, piece)
	if err != nil {
		return err
	}
	for _, c := range cases {
		if err := ended(ctx); err != nil {
			return err
		}
		base, complete := t.base(c)
		if !complete {
			t.skip(c.id, EngineChanged)
			continue
		}
		done := Case{ID: c.id, CustomerID: c.facts.Customer.ID, Currency: c.facts.Currency, TraceID: c.traceID}
		done.Baseline, done.BaselineMinor = t.feed(ctx, c.facts, base)
		done.Trial, done.TrialMinor = t.feed(ctx, t.funded(c.facts), t.tried(base))
		t.tally.add(done)
		if len(t.out.Cases) < MaxListed {
			t.out.Cases = append(t.out.Cases, done)
		} else {
			t.cut(CutEvaluations)
		}
		t.report()
	}
	return nil
}

// base are the offers that a case is judged by without the trial; false where
// one of them is not known any more.
func (t *trial) base(c subject) ([]offers.Offer, bool) {
	base := make([]offers.Offer, 0, len(c.refs))
	for _, ref := range c.refs {
		o, known := t.known[ref]
		if !known {
			return nil, false
		}
		base = append(base, o)
	}
	return base, true
}

// tried are the offers of the trial: drafts stand in the place of offers whose
// id they bear.
func (t *trial) tried(base []offers.Offer) []offers.Offer {
	if t.alone {
		base = t.fixed
	}
	out := slices.Clone(t.drafts)
	for _, o := range base {
		if !slices.ContainsFunc(t.drafts, func(d offers.Offer) bool { return d.ID == o.ID }) {
			o.Status = offers.Active
			out = append(out, o)
		}
	}
	return out
}

// funded adds what the budgets of tried offers have left to facts that do not
// know them.
func (t *trial) funded(f offers.Facts) offers.Facts {
	f.Budgets = slices.Clone(f.Budgets)
	for _, b := range t.funds {
		if !slices.ContainsFunc(f.Budgets, func(known offers.Funds) bool { return known.BudgetID == b.BudgetID }) {
			f.Budgets = append(f.Budgets, b)
		}
	}
	return f
}

// feed decides a case with a set of offers, and reckons the best combination.
func (t *trial) feed(ctx context.Context, f offers.Facts, all []offers.Offer) (offers.Feed, int64) {
	c := engine.New(0, all, t.s.Incentives.Rules)
	feed := c.Evaluate(ctx, &f)
	return feed, best(ctx, c, f, all, feed)
}

// best is what a session would get of a feed in minor units: the better one of
// taking offers in the order of their rank, each judged beside those taken
// before, and of the best single one.
func best(ctx context.Context, c *engine.Catalogue, f offers.Facts, all []offers.Offer, feed offers.Feed) int64 {
	single, sum := int64(0), int64(0)
	for i := range feed.Offers {
		single = max(single, feed.Offers[i].Value.AmountMinor)
	}
	f.Held = nil
	for range maxCombined {
		next := slices.IndexFunc(feed.Offers, func(o offers.Shown) bool {
			return o.Value.AmountMinor > 0 && !slices.ContainsFunc(f.Held, func(h offers.Held) bool { return h.OfferID == o.OfferID })
		})
		if next < 0 {
			break
		}
		o := feed.Offers[next]
		sum += o.Value.AmountMinor
		def := all[slices.IndexFunc(all, func(d offers.Offer) bool { return d.ID == o.OfferID })]
		f.Held = append(f.Held, taken(o, def))
		feed = c.Evaluate(ctx, &f)
	}
	return max(single, sum)
}

// taken is an offer as a session that took it would hold it.
func taken(o offers.Shown, def offers.Offer) offers.Held {
	h := offers.Held{
		OfferID: o.OfferID, Version: o.Version, Group: def.Stacking.Group, Alone: def.Stacking.Alone, Exclusive: def.Stacking.Exclusive,
		ValueMinor: o.Value.AmountMinor, Points: o.Value.Points, Lines: o.AppliesTo,
	}
	if o.Value.Type.Discounts() {
		h.DiscountMinor = o.Value.AmountMinor
	}
	return h
}
