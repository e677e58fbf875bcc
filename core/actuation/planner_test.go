package actuation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/money"
)

// value is an actuator that is a plain Go value.
type value struct {
	manifest actuation.Manifest
	plan     func(context.Context, []actuation.Snapshot) ([]actuation.Plan, error)
}

func (v *value) Manifest() actuation.Manifest { return v.manifest }
func (v *value) PlanBatch(ctx context.Context, b []actuation.Snapshot) ([]actuation.Plan, error) {
	return v.plan(ctx, b)
}

// byKind is a registry of values.
type byKind map[actuation.Kind]actuation.Actuator

func (r byKind) For(k actuation.Kind, _ string) (actuation.Actuator, error) {
	if a := r[k]; a != nil {
		return a, nil
	}
	return nil, actuation.Unavailable("missing", nil)
}
func (r byKind) All() []actuation.Status { return nil }

func named(name string, plan func(context.Context, []actuation.Snapshot) ([]actuation.Plan, error)) *value {
	m := allManifest()
	m.Name = name
	return &value{m, plan}
}

// pays takes everything from actual.
func pays(_ context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	plans := make([]actuation.Plan, 0, len(batch))
	for i := len(batch) - 1; i >= 0; i-- { // any order is allowed
		plans = append(plans, actuation.Plan{SnapshotID: batch[i].ID, Reasoning: reasoning(), Effects: []actuation.Effect{
			{Kind: actuation.EffectDebit, Class: money.Actual, Currency: batch[i].Currency, AmountMinor: batch[i].AmountMinor},
		}})
	}
	return plans, nil
}

func payment(id string, actual int64) actuation.Snapshot {
	return actuation.Snapshot{ID: id, Kind: actuation.KindWalletDebit, MerchantID: "mer_1", CustomerID: "cus_1", Currency: "USD", At: noon,
		AmountMinor: 10, Wallet: actuation.Wallet{ActualMinor: actual}}
}

func TestPlannerProvesEachAnswerAlone(t *testing.T) {
	t.Parallel()
	var heard []*actuation.Rejected
	p := &actuation.Planner{
		Registry: byKind{actuation.KindWalletDebit: named("wallet", pays)},
		Rejected: func(r *actuation.Rejected) { heard = append(heard, r) },
	}
	out := p.Plan(t.Context(), []actuation.Snapshot{payment("a", 10), payment("b", 9), {ID: "c", Kind: actuation.KindOffer}, payment("d", 10)})
	for i, want := range []bool{true, false, false, true} {
		if ok := out[i].Err == nil; ok != want {
			t.Errorf("outcome %d: %v", i, out[i].Err)
		}
	}
	if out[3].Plan.SnapshotID != "d" || out[3].Actuator.Name != "wallet" || len(out[1].Plan.Effects) != 0 {
		t.Errorf("%+v", out)
	}
	if len(heard) != 1 || heard[0].SnapshotID != "b" || heard[0].Rule != actuation.RuleBalance {
		t.Errorf("heard %v", heard)
	}
	if !fault.Is(out[2].Err, fault.CodeActuatorUnavailable) {
		t.Errorf("no actuator: %v", out[2].Err)
	}
}

func TestPlannerNeedsOneAnswerEach(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func([]actuation.Plan) []actuation.Plan{
		"none":      func(p []actuation.Plan) []actuation.Plan { return p[1:] },
		"two":       func(p []actuation.Plan) []actuation.Plan { return append(p, p[0]) },
		"three":     func(p []actuation.Plan) []actuation.Plan { return append(p, p[0], p[0]) },
		"a foreign": func(p []actuation.Plan) []actuation.Plan { p[0].SnapshotID = "x"; return p },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			odd := named("odd", func(ctx context.Context, b []actuation.Snapshot) ([]actuation.Plan, error) {
				plans, _ := pays(ctx, b)
				return answer(plans), nil
			})
			p := &actuation.Planner{Registry: byKind{actuation.KindWalletDebit: odd}}
			out := p.Plan(t.Context(), []actuation.Snapshot{payment("a", 10), payment("b", 10)})
			if out[0].Err != nil {
				t.Errorf("the other snapshot suffered: %v", out[0].Err)
			}
			if r := actuation.RejectionOf(out[1].Err); r == nil || r.Rule != actuation.RuleAnswer {
				t.Errorf("got %v", out[1].Err)
			}
		})
	}
}

func TestPlannerPassesErrorsOn(t *testing.T) {
	t.Parallel()
	late := fault.New(fault.CodeDeadlineExceeded, "too late")
	p := &actuation.Planner{Registry: byKind{actuation.KindWalletDebit: named("late", func(context.Context, []actuation.Snapshot) ([]actuation.Plan, error) {
		return nil, late
	})}}
	if out := p.Plan(t.Context(), []actuation.Snapshot{payment("a", 10)}); !errors.Is(out[0].Err, late) {
		t.Errorf("got %v", out[0].Err)
	}
	if out := p.Plan(t.Context(), []actuation.Snapshot{payment("a", 10), payment("a", 10)}); !fault.Is(out[0].Err, fault.CodeInternal) {
		t.Errorf("repeated ids: %v", out[0].Err)
	}
}

// TestGroupsRunSideBySide: one actuator that takes long must not delay another.
func TestGroupsRunSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(_ context.Context, b []actuation.Snapshot) ([]actuation.Plan, error) {
			time.Sleep(time.Second) // the bubble's clock: it costs nothing
			return []actuation.Plan{{SnapshotID: b[0].ID, Refusal: "no", Reasoning: reasoning()}}, nil
		}
		p := &actuation.Planner{Registry: byKind{actuation.KindOffer: named("a", slow), actuation.KindUpsell: named("b", slow)}}
		start := time.Now()
		out := p.Plan(t.Context(), []actuation.Snapshot{{ID: "1", Kind: actuation.KindOffer}, {ID: "2", Kind: actuation.KindUpsell}})
		if took := time.Since(start); took != time.Second || out[0].Err != nil || out[1].Err != nil {
			t.Errorf("took %v: %+v", took, out)
		}
	})
}

func TestGroupsKeepOrder(t *testing.T) {
	t.Parallel()
	p := &actuation.Planner{Registry: byKind{actuation.KindWalletDebit: named("wallet", pays), actuation.KindOffer: named("offer", pays)}}
	groups := p.Groups([]actuation.Snapshot{payment("a", 10), {ID: "b", Kind: actuation.KindOffer}, payment("c", 10)})
	if len(groups) != 2 || groups[0].Positions[1] != 2 || groups[0].Batch[1].ID != "c" || groups[1].Batch[0].ID != "b" {
		t.Fatalf("%+v", groups)
	}
}
