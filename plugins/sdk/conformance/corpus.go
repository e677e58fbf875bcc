package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/plugins/sdk"
)

// perKind is how many snapshots the suite makes for each decision kind.
const perKind = 40

// today stands for the present in snapshots: a fact, like any other.
var today = time.Date(2026, 6, 1, 9, 30, 0, 123_456_000, time.UTC)

// Corpus makes 40 snapshots of every kind, always the same: some without a
// customer, some without an allowance, in several currencies.
func Corpus(kinds []actuation.Kind) []actuation.Snapshot { return corpus(kinds, today) }

// corpus makes snapshots of every kind at the instant at; always the same.
func corpus(kinds []actuation.Kind, at time.Time) []actuation.Snapshot {
	var out []actuation.Snapshot
	for k, kind := range kinds {
		r := rand.New(rand.NewPCG(uint64(k), 20260601))
		for n := range perKind {
			out = append(out, snapshot(r, kind, fmt.Sprintf("%s-%d", kind, n), at))
		}
	}
	return out
}

// perKindWide is how many more snapshots of each kind the rules are tried on.
const perKindWide = 200

// wide makes more snapshots of every kind: with edges, such as the smallest and
// the largest amounts, an allowance of nothing, and settings and facts that are
// missing.
func wide(kinds []actuation.Kind) []actuation.Snapshot {
	var out []actuation.Snapshot
	for k, kind := range kinds {
		r := rand.New(rand.NewPCG(uint64(k), 20260602))
		for n := range perKindWide {
			s := snapshot(r, kind, fmt.Sprintf("%s-wide-%d", kind, n), today)
			edges := []func(){
				func() { s.AmountMinor = 1 },
				func() { s.AmountMinor = money.MaxMinor },
				func() { s.Allowance = actuation.Allowance{} },
				func() { s.Settings = nil },
				func() { s.Facts = nil },
				func() { s.Allowance.Budgets = nil },
				func() { s.Wallet.ActualMinor = 0 },
				func() { s.Lots = nil },
			}
			for _, edge := range edges {
				if r.IntN(6) == 0 {
					edge()
				}
			}
			out = append(out, consistent(s))
		}
	}
	return out
}

func snapshot(r *rand.Rand, kind actuation.Kind, id string, at time.Time) actuation.Snapshot {
	s := actuation.Snapshot{
		ID: id, Kind: kind, PartnerID: "par_1", MerchantID: fmt.Sprintf("mer_%d", r.IntN(3)), Mode: tenancy.Sandbox,
		CustomerID: "cus_" + id, SessionID: "cs_" + id, Currency: money.Currency([]string{"USD", "AED", "JPY", "KWD"}[r.IntN(4)]), At: at,
		AmountMinor: 1 + r.Int64N(5000),
		Wallet:      actuation.Wallet{ActualMinor: r.Int64N(6000), Verified: true},
		Lots:        lots(r, id, at),
		Settings:    object(map[string]any{"cashback_bp": r.IntN(4) * 250, "cashback_expiry_days": r.IntN(3) * 30}),
	}
	if kind != actuation.KindWalletDebit && r.IntN(8) == 0 {
		s.CustomerID, s.Wallet, s.Lots = "", actuation.Wallet{}, nil
	}
	for _, l := range s.Lots {
		if l.ExpiresAt.IsZero() || l.ExpiresAt.After(at) {
			s.Wallet.PromoAvailableMinor += l.RemainingMinor
		}
	}
	s.Allowance = allowance(r, kind, s.AmountMinor)
	s.Facts = facts(r, id, s.AmountMinor)
	return s
}

// lots makes lots in spending order, some of equal expiry, some expired.
func lots(r *rand.Rand, id string, at time.Time) []actuation.Lot {
	out := make([]actuation.Lot, r.IntN(6))
	for i := range out {
		out[i] = actuation.Lot{RemainingMinor: 1 + r.Int64N(900), IssuedAt: at.AddDate(0, 0, -10+i)}
		if r.IntN(3) > 0 {
			out[i].ExpiresAt = at.AddDate(0, 0, r.IntN(5)-1)
		}
	}
	slices.SortStableFunc(out, func(a, b actuation.Lot) int {
		switch {
		case a.ExpiresAt.IsZero() == b.ExpiresAt.IsZero():
			return a.ExpiresAt.Compare(b.ExpiresAt)
		case a.ExpiresAt.IsZero():
			return 1
		default:
			return -1
		}
	})
	for i := range out {
		out[i].GrantID = fmt.Sprintf("grt_%s_%d", id, i)
	}
	return out
}

func allowance(r *rand.Rand, kind actuation.Kind, amount int64) actuation.Allowance {
	if kind == actuation.KindWalletDebit {
		return actuation.Allowance{}
	}
	a := actuation.Allowance{
		MaxGrantMinor: r.Int64N(amount + 1), MaxPoints: r.Int64N(100),
		Sources: []string{"CASHBACK", "OFFER", "GOODWILL", "REFERRAL"},
	}
	if r.IntN(2) == 0 {
		a.Budgets = []actuation.Budget{{BudgetID: "bud_1", RemainingMinor: r.Int64N(200)}}
	}
	return a
}

func facts(r *rand.Rand, id string, amount int64) json.RawMessage {
	var offers []map[string]any
	for i := range r.IntN(5) {
		offers = append(offers, map[string]any{
			"offer_id": fmt.Sprintf("off_%d", i), "exposed": r.IntN(2) == 0, "applied": r.IntN(2) == 0,
			"discount_minor": r.IntN(300), "decision_trace_id": fmt.Sprintf("dt_%s_%d", id, i%2),
		})
	}
	wallet := r.Int64N(amount + 1)
	return object(map[string]any{
		"transaction_id": "txn_" + id, "channel": "in_store", "offers": offers, "decision_trace_ids": []string{"dt_" + id},
		"tenders": []map[string]any{{"type": "wallet", "amount_minor": wallet}, {"type": "cash", "amount_minor": amount - wallet}},
		"basket":  map[string]any{"revision": 1, "lines": []map[string]any{{"line_id": "1", "sku": "LATTE", "quantity": 2, "unit_price_minor": 450}}},
	})
}

// object writes what it is given; maps of plain values cannot fail.
func object(v map[string]any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}

// fromAuthor turns a snapshot of the SDK into the core's.
func fromAuthor(s sdk.Snapshot) actuation.Snapshot {
	out := actuation.Snapshot{
		ID: s.ID, Kind: actuation.Kind(s.Kind), PartnerID: s.PartnerID, MerchantID: s.MerchantID, Mode: tenancy.Mode(s.Mode), CustomerID: s.CustomerID,
		SessionID: s.SessionID, Currency: money.Currency(s.Currency), At: s.At, AmountMinor: s.AmountMinor, Wallet: actuation.Wallet(s.Wallet),
		Allowance: actuation.Allowance{MaxGrantMinor: s.Allowance.MaxGrantMinor, MaxPoints: s.Allowance.MaxPoints, Sources: s.Allowance.Sources},
		Settings:  s.Settings, Facts: s.Facts,
	}
	for _, l := range s.Lots {
		out.Lots = append(out.Lots, actuation.Lot(l))
	}
	for _, b := range s.Allowance.Budgets {
		out.Allowance.Budgets = append(out.Allowance.Budgets, actuation.Budget(b))
	}
	return out
}
