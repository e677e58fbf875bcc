package decision_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	store "github.com/feddi/feddi/adapters/postgres/decision"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

var (
	at     = time.Date(2026, 6, 15, 12, 0, 0, 123456000, time.UTC)
	tenant = tenancy.Tenant{PartnerID: "par_1", Mode: tenancy.Sandbox, MerchantID: "mer_1", No: 7}
)

// trace is one whose texts the database would change if it understood them.
func trace(id string) decision.Trace {
	return decision.Trace{
		ID: id, Tenant: tenant, Kind: "offer", SessionID: "cs_1", CustomerID: "cus_1", Engine: "offers/1",
		Inputs: json.RawMessage(`{"b":1,"a":1.50, "a":2}`), Outputs: json.RawMessage(`{"z":"\u00e9","y":[]}`), At: at,
	}
}

// TestTraceKeepsItsBytes holds that inputs and outputs come back byte for byte,
// and that decisions come back whole and in order.
func TestTraceKeepsItsBytes(t *testing.T) {
	t.Parallel()
	s := store.New(pgtest.New(t).Q())
	tr := trace("dt_1")
	all := []decision.Decision{
		{
			ID: "dec_1", Tenant: tenant, TraceID: "dt_1", Kind: "cashback", SessionID: "cs_1", CustomerID: "cus_1", GrantID: "grt_1", AmountMinor: 58,
			State: "taken", Actuator: "cashback", ActuatorVersion: "1.0.0", Card: decision.Card{Summary: "s", Rule: "r", Facts: json.RawMessage(`{"n":1}`)},
			Plan: json.RawMessage(`{"effects": []}`), At: at,
		},
		{ID: "dec_2", Tenant: tenant, TraceID: "dt_1", Kind: "offer", SessionID: "cs_1", OfferID: "off_1", State: "proposed", Card: decision.Card{Facts: json.RawMessage(`{}`)}, At: at},
	}
	if err := s.SaveTrace(t.Context(), tr, all, nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Trace(t.Context(), tenant, "dt_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tr, got); diff != "" {
		t.Errorf("the trace changed:\n%s", diff)
	}
	decisions, err := s.BySession(t.Context(), tenant, "cs_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, decisions); diff != "" {
		t.Errorf("the decisions changed:\n%s", diff)
	}
}

// TestRecordOnce holds that of many writers of one id one writes, and that all
// learn what stands.
func TestRecordOnce(t *testing.T) {
	t.Parallel()
	s := store.New(pgtest.New(t).Q())
	wrote := make([]bool, 16)
	stored := make([]decision.Trace, len(wrote))
	var wg sync.WaitGroup
	for i := range wrote {
		wg.Go(func() {
			tr := trace("dt_1")
			tr.Engine = "offers/" + string(rune('a'+i))
			var err error
			stored[i], wrote[i], err = s.Record(t.Context(), tr, nil, []decision.Counterfactual{{TraceID: "dt_1", SessionID: "cs_1", OfferID: "off_1", Version: 1, Outcome: "shown", At: at}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	winners := 0
	for i := range wrote {
		if wrote[i] {
			winners++
		}
		if stored[i].Engine != stored[0].Engine {
			t.Errorf("%s and %s both stand", stored[i].Engine, stored[0].Engine)
		}
	}
	if winners != 1 {
		t.Errorf("%d writers", winners)
	}
	if shown, withheld, err := s.Tally(t.Context(), tenant, "off_1"); shown != 1 || withheld != 0 || err != nil {
		t.Errorf("%d shown, %d withheld, %v", shown, withheld, err)
	}
}

// TestTenantsAreApart holds that another tenant sees and settles nothing.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	s := store.New(pgtest.New(t).Q())
	cf := []decision.Counterfactual{{TraceID: "dt_1", SessionID: "cs_1", OfferID: "off_1", Version: 1, Outcome: "shown", ValueMinor: 5, At: at}}
	if err := s.SaveTrace(t.Context(), trace("dt_1"), nil, cf); err != nil {
		t.Fatal(err)
	}
	other := tenant
	other.No = 8
	if _, err := s.Trace(t.Context(), other, "dt_1"); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("another tenant's trace: %v", err)
	}
	if err := s.MarkTaken(t.Context(), other, "cs_1", "off_1", "taken"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Counterfactuals(t.Context(), tenant, "cs_1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cf, got); diff != "" {
		t.Errorf("another tenant settled it:\n%s", diff)
	}
	if rest, err := s.BySession(t.Context(), other, "cs_1"); len(rest) != 0 || err != nil {
		t.Errorf("%v, %v", rest, err)
	}
}
