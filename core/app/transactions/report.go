package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
)

// MaxReported bounds the exposures of one sale, over all reports.
const MaxReported = 200

// ReportEngine names what credits reported exposures, and its version;
// ReportKind is the kind of its traces.
const (
	ReportEngine = "attribution-report/1"
	ReportKind   = "attribution_report"
)

// ReportInput is what a partner showed before a sale.
type ReportInput struct {
	TransactionID string
	Exposures     []Reported
}

// Reported is one exposure as a partner tells it.
type Reported struct {
	OfferID, TraceID, Outcome string
	ShownAt                   *time.Time // nil: when it was decided
}

// ReportView is the record of a sale's reports as it stands.
type ReportView struct {
	Report  checkout.AttributionReport
	Offers  []checkout.CreditedOffer
	TraceID string
	Added   bool // this report brought something new
}

// Report ties exposures to the decisions that showed them and to the sale. What
// is reported again changes nothing, whatever its Idempotency-Key.
// Errors: NOT_FOUND (transaction, decision trace), STATE_CONFLICT where an
// exposure can't have been before this sale or contradicts it or what was
// reported before.
func (s *Service) Report(ctx context.Context, call *app.Call, in ReportInput) (ReportView, error) {
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (ReportView, error) {
		tx, err := st.Checkout.Transaction(ctx, call.Tenant, in.TransactionID)
		if err == nil && !checkout.Within(call.Actor, tx.Place) {
			err = fault.NotFound("transaction")
		}
		if err != nil {
			return ReportView{}, err
		}
		found, err := exposures(ctx, st, tx, in.Exposures, now)
		if err != nil {
			return ReportView{}, err
		}
		r, err := st.Checkout.LockReport(ctx, tx.Tenant, tx.ID, s.IDs.Make("atb"), now)
		if err != nil {
			return ReportView{}, err
		}
		fresh, err := news(&r, found)
		if err != nil {
			return ReportView{}, err
		}
		v := ReportView{Report: r, Offers: Credited(tx, r), TraceID: reportTrace(r), Added: len(fresh) > 0}
		if !v.Added {
			return v, nil
		}
		if err := st.Checkout.AddExposures(ctx, tx.Tenant, tx.ID, fresh); err != nil {
			return v, err
		}
		return v, s.recordReport(ctx, st, tx, v, now)
	})
}

// Credited are the exposures of a report with their parts in the sale.
func Credited(tx checkout.Transaction, r checkout.AttributionReport) []checkout.CreditedOffer {
	out := make([]checkout.CreditedOffer, len(r.Exposures))
	for i, e := range r.Exposures {
		out[i] = tx.Credit(e)
	}
	return out
}

// exposures proves what is reported against the decisions and the sale.
func exposures(ctx context.Context, st app.Stores, tx checkout.Transaction, told []Reported, now time.Time) ([]checkout.Exposure, error) {
	traces := map[string]decision.Trace{}
	out := make([]checkout.Exposure, 0, len(told))
	for i, e := range told {
		tr, known := traces[e.TraceID]
		if !known {
			var err error
			tr, err = st.Decisions.Trace(ctx, tx.Tenant, e.TraceID)
			if fault.Is(err, fault.CodeNotFound) {
				return nil, fault.Field(fault.CodeNotFound, at(i, "decision_trace_id"), "exists", "there is no such decision; send meta.decision_trace_id of the answer that held the offer")
			}
			if err != nil {
				return nil, err
			}
			traces[e.TraceID] = tr
		}
		shown := tr.At
		if e.ShownAt != nil {
			shown = *e.ShownAt
		}
		if err := plausible(tx, tr, e, shown, i); err != nil {
			return nil, err
		}
		out = append(out, checkout.Exposure{OfferID: e.OfferID, TraceID: e.TraceID, Outcome: e.Outcome, ShownAt: shown, ReportedAt: now})
	}
	return out, nil
}

// plausible refuses an exposure that can't have been: of another session and
// customer, out of order in time, of an offer that the decision did not show,
// or redeemed where the sale says that it was not.
func plausible(tx checkout.Transaction, tr decision.Trace, e Reported, shown time.Time, i int) error {
	conflict := func(field, rule, format string, args ...any) error {
		return fault.Field(fault.CodeStateConflict, at(i, field), rule, format, args...)
	}
	ofSession := tx.SessionID != "" && tr.SessionID == tx.SessionID
	ofCustomer := tx.Buyer.CustomerID != "" && tr.CustomerID == tx.Buyer.CustomerID
	switch {
	case !ofSession && !ofCustomer:
		return conflict("decision_trace_id", "of_this_sale", "the decision was made for another session and customer than this sale's")
	case tr.At.After(tx.CreatedAt):
		return conflict("decision_trace_id", "before_the_sale", "the decision was made at %s, after the sale at %s", clockText(tr.At), clockText(tx.CreatedAt))
	case shown.Before(tr.At) || shown.After(tx.CreatedAt):
		return conflict("shown_at", "between", "it must have been shown between the decision at %s and the sale at %s", clockText(tr.At), clockText(tx.CreatedAt))
	case !showed(tr, e.OfferID):
		return conflict("offer_id", "shown_by_decision", "the decision did not show this offer")
	case e.Outcome == checkout.OutcomeRedeemed && !redeems(tx, e.OfferID):
		return conflict("outcome", "in_the_sale", "this sale did not redeem the offer; report it as shown_not_taken")
	}
	return nil
}

func at(i int, field string) string { return "exposures[" + strconv.Itoa(i) + "]." + field }

func clockText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// showed reports whether a decision's outputs show an offer.
func showed(tr decision.Trace, offerID string) bool {
	var outputs struct {
		Offers []struct {
			OfferID string `json:"offer_id"`
		} `json:"offers"`
	}
	if json.Unmarshal(tr.Outputs, &outputs) != nil {
		return false // a decision of another kind
	}
	for _, o := range outputs.Offers {
		if o.OfferID == offerID {
			return true
		}
	}
	return false
}

func redeems(tx checkout.Transaction, offerID string) bool {
	for _, o := range tx.Offers {
		if o.OfferID == offerID {
			return true
		}
	}
	return false
}

// news adds to r what it does not hold yet, and returns that.
func news(r *checkout.AttributionReport, found []checkout.Exposure) ([]checkout.Exposure, error) {
	var fresh []checkout.Exposure
	for i, e := range found {
		if was := r.Find(e.OfferID, e.TraceID); was != nil {
			if was.Outcome != e.Outcome {
				return nil, fault.Field(fault.CodeStateConflict, at(i, "outcome"), "as_reported", "this exposure was reported as %s; what is reported stands", was.Outcome)
			}
			continue
		}
		if was := r.Redeemed(e.OfferID); was != nil && e.Outcome == checkout.OutcomeRedeemed {
			return nil, fault.Field(fault.CodeStateConflict, at(i, "outcome"), "redeemed_once",
				"the redemption of this offer is tied to decision %s already; report this exposure as shown_not_taken", was.TraceID)
		}
		r.Add(e)
		fresh = append(fresh, e)
	}
	if len(r.Exposures) > MaxReported {
		return nil, fault.Field(fault.CodeStateConflict, "exposures", "max_reported", "a sale keeps at most %d exposures", MaxReported)
	}
	return fresh, nil
}

// reportTrace names the decision about what is reported: the same for the same
// exposures, in whatever reports they came.
func reportTrace(r checkout.AttributionReport) string {
	parts := []string{ReportEngine, strconv.FormatInt(int64(r.Tenant.No), 10), r.TransactionID}
	for _, e := range r.Exposures {
		parts = append(parts, e.OfferID, e.TraceID, e.Outcome)
	}
	return decision.TraceID(parts...)
}

// creditQuestion is what a report is credited from: the inputs of its trace.
type creditQuestion struct {
	Engine        string                  `json:"engine"`
	TransactionID string                  `json:"transaction_id"`
	TotalMinor    int64                   `json:"total_minor"`
	Currency      string                  `json:"currency"`
	Offers        []checkout.AppliedOffer `json:"offers"` // that the sale redeemed
	Exposures     []checkout.Exposure     `json:"exposures"`
}

// credited are the outputs. It is a pure function of in.
func (in creditQuestion) credited() (json.RawMessage, error) {
	sale := checkout.Transaction{ID: in.TransactionID, TotalMinor: in.TotalMinor, Currency: in.Currency, Offers: in.Offers}
	out := make([]checkout.AttributedOffer, len(in.Exposures))
	for i, e := range in.Exposures {
		out[i] = sale.Credit(e).AttributedOffer
	}
	return json.Marshal(map[string]any{"credited": out})
}

// ReplayReport credits a stored report again and gives nil where that comes out
// the same, byte for byte. Errors: *decision.Mismatch.
func (s *Service) ReplayReport(ctx context.Context, tr decision.Trace) error {
	return decision.Replay(ctx, tr, func(_ context.Context, raw json.RawMessage) (json.RawMessage, error) {
		var in creditQuestion
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, err
		}
		if in.Engine != ReportEngine {
			return nil, fmt.Errorf("credited by %s; this binary has %s", in.Engine, ReportEngine)
		}
		return in.credited()
	})
}

// recordReport writes the trace of a report that brought something new, with
// its decision and event.
func (s *Service) recordReport(ctx context.Context, st app.Stores, tx checkout.Transaction, v ReportView, now time.Time) error {
	asked := creditQuestion{ReportEngine, tx.ID, tx.TotalMinor, tx.Currency, tx.Offers, v.Report.Exposures}
	inputs, err := json.Marshal(asked)
	outputs, err2 := asked.credited()
	total := int64(0)
	for _, o := range v.Offers {
		total += o.AttributedMinor
	}
	facts, err3 := json.Marshal(map[string]any{"attributed_minor": total, "exposures": len(v.Offers), "total_minor": tx.TotalMinor})
	if err := errors.Join(err, err2, err3); err != nil {
		return fault.Internal(err)
	}
	tr := decision.Trace{
		ID: v.TraceID, Tenant: tx.Tenant, Kind: ReportKind, SessionID: tx.SessionID, CustomerID: tx.Buyer.CustomerID,
		Engine: ReportEngine, Inputs: inputs, Outputs: outputs, At: now,
	}
	made := decision.Decision{
		ID: s.IDs.Make(ids.Decision), Tenant: tx.Tenant, TraceID: v.TraceID, Kind: string(actuation.KindAttribution), SessionID: tx.SessionID,
		CustomerID: tx.Buyer.CustomerID, AmountMinor: total, State: "taken", At: now, Card: decision.Card{
			Summary: fmt.Sprintf("A partner reported %d offers shown before this sale.", len(v.Offers)), Rule: "attribution.reported", Facts: facts,
		},
	}
	if err := st.Decisions.SaveTrace(ctx, tr, []decision.Decision{made}, nil); err != nil {
		return err
	}
	e, err := s.event(tx.Tenant, "decision.made", tx.ID, v.TraceID, now, map[string]any{
		"decision_trace_id": v.TraceID, "kind": actuation.KindAttribution, "attribution_id": v.Report.ID, "transaction_id": tx.ID,
		"session_id": orNull(tx.SessionID), "customer_id": orNull(tx.Buyer.CustomerID), "amount_minor": total, "currency": tx.Currency,
	})
	if err != nil {
		return err
	}
	return st.Events.Append(ctx, e)
}
