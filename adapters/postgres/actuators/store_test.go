package actuators_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	store "github.com/feddi/feddi/adapters/postgres/actuators"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	storetenancy "github.com/feddi/feddi/adapters/postgres/tenancy"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app/actuators"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
)

var start = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// shop is an operator's view of two merchants on a database of its own.
type shop struct {
	*actuators.Service
	t       *testing.T
	db      *pg.DB
	tenants []tenancy.Tenant
}

func setup(t *testing.T) *shop {
	t.Helper()
	db := pgtest.New(t)
	c := clock.NewManual(start)
	s := &shop{t: t, db: db, Service: &actuators.Service{Store: store.New(db), Directory: storetenancy.NewDirectory(db), Clock: c, IDs: ids.New(c)}}
	known := storetenancy.New(db.Q())
	if err := known.AddPartner(t.Context(), tenancy.Partner{ID: "par_1", Name: "Partner", Sandbox: true, CreatedAt: start}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"mer_1", "mer_2"} {
		m, err := known.AddMerchant(t.Context(), tenancy.Merchant{
			ID: id, PartnerID: "par_1", Mode: tenancy.Sandbox, Name: id, Status: tenancy.MerchantActive, Settings: tenancy.DefaultSettings("USD"), CreatedAt: start,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.tenants = append(s.tenants, m.Tenant())
	}
	return s
}

func input(name, version, merchant string, kinds ...actuation.Kind) actuators.InstallInput {
	return actuators.InstallInput{
		MerchantID: merchant, Path: "/opt/" + name, SHA256: strings.Repeat("ab", 32),
		Manifest: actuation.Manifest{
			Name: name, Version: version, DecisionKinds: kinds, EffectKinds: []actuation.EffectKind{actuation.EffectGrant},
			TimeLimit: time.Second, Policy: actuation.Optional,
			SettingsSchema: []byte(`{"type":"object","additionalProperties":false,"properties":{"every":{"type":"integer","minimum":2}}}`),
		},
	}
}

// names lists what is installed, with a mark for shadows.
func (s *shop) names() string {
	s.t.Helper()
	list, err := s.Store.Current(s.t.Context(), tenancy.Sandbox)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, in := range list {
		name := in.Tenant.MerchantID + " " + in.Manifest.Name + " " + in.Manifest.Version
		if in.Shadow {
			name += " shadow"
		}
		out = append(out, name)
	}
	slices.Sort(out) // all were installed in the same instant
	return strings.Join(out, ", ")
}

func TestInstallReplacesAndIsHeldToOnePerKind(t *testing.T) {
	t.Parallel()
	s := setup(t)
	install := func(in actuators.InstallInput) *actuation.Installation {
		t.Helper()
		_, replaced, err := s.Install(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return replaced
	}
	before, err := s.Store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := install(input("punchcard", "1.0.0", "mer_1", actuation.KindUpsell)); r != nil {
		t.Errorf("it replaces %+v", r)
	}
	if r := install(input("punchcard", "1.1.0", "mer_1", actuation.KindUpsell, actuation.KindEnrichment)); r == nil || r.Manifest.Version != "1.0.0" {
		t.Errorf("it replaces %+v", r)
	}
	install(input("punchcard", "1.0.0", "mer_2", actuation.KindUpsell)) // another merchant's
	other := input("stamps", "1.0.0", "mer_1", actuation.KindEnrichment)
	if _, _, err := s.Install(t.Context(), other); !fault.Is(err, fault.CodeStateConflict) || !strings.Contains(err.Error(), "punchcard already decides enrichment") {
		t.Errorf("two for one kind: %v", err)
	}
	other.Shadow = true
	install(other)
	if got := s.names(); got != "mer_1 punchcard 1.1.0, mer_1 stamps 1.0.0 shadow, mer_2 punchcard 1.0.0" {
		t.Error(got)
	}
	if _, err := s.Uninstall(t.Context(), "mer_1", "punchcard", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uninstall(t.Context(), "mer_1", "punchcard", false); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("twice: %v", err)
	}
	other.Shadow = false
	install(other) // the kind is free again
	if after, err := s.Store.Revision(t.Context()); err != nil || after <= before {
		t.Errorf("the revision went from %d to %d: %v", before, after, err)
	}
}

func TestWhatCannotBeInstalled(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for field, change := range map[string]func(*actuators.InstallInput){
		"manifest.decision_kinds": func(in *actuators.InstallInput) {
			in.Manifest.DecisionKinds = []actuation.Kind{actuation.KindWalletDebit}
		},
		"manifest.name":   func(in *actuators.InstallInput) { in.Manifest.Name = "Punch Card" },
		"settings.every":  func(in *actuators.InstallInput) { in.Settings = []byte(`{"every":1}`) },
		"settings":        func(in *actuators.InstallInput) { in.Settings = []byte(`[]`) },
		"max_grant_minor": func(in *actuators.InstallInput) { in.MaxGrantMinor = -1 },
		"allow_host":      func(in *actuators.InstallInput) { in.AllowHosts = true },
		"merchant":        func(in *actuators.InstallInput) { in.MerchantID = "mer_9" },
	} {
		in := input("punchcard", "1.0.0", "mer_1", actuation.KindUpsell)
		change(&in)
		_, _, err := s.Install(t.Context(), in)
		if f := fault.As(err); f == nil || len(f.Details) == 0 || f.Details[0].Field != field {
			t.Errorf("%s: %+v", field, err)
		}
	}
	if got := s.names(); got != "" {
		t.Errorf("installed: %s", got)
	}
}

// TestUninstallDecidesWhatWaits: nobody else decides an upsell, so that what
// waits is refused; a cashback is left for the platform's actuator.
func TestUninstallDecidesWhatWaits(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if _, _, err := s.Install(t.Context(), input("punchcard", "1.0.0", "mer_1", actuation.KindUpsell, actuation.KindCashback)); err != nil {
		t.Fatal(err)
	}
	for i, tenant := range s.tenants {
		for _, kind := range []string{"upsell", "cashback"} {
			_, err := s.db.Q().Exec(t.Context(), `insert into transaction_rulings (transaction_id, kind, tenant_no, state, decision_id, trace_id, snapshot, due_at, created_at)
				values ($1, $2, $3, 'pending', $4, 'dt_1', '{}', $5, $5)`, "txn_"+tenant.MerchantID, kind, tenant.No, "dec_"+kind+tenant.MerchantID, start)
			if err != nil {
				t.Fatal(i, err)
			}
		}
	}
	if _, err := s.Uninstall(t.Context(), "mer_1", "punchcard", false); err != nil {
		t.Fatal(err)
	}
	states, err := pg.Many[string](t.Context(), s.db.Q(), `select transaction_id || ' ' || kind || ' ' || state from transaction_rulings order by 1`)
	if got := strings.Join(states, ", "); err != nil || got != "txn_mer_1 cashback pending, txn_mer_1 upsell refused, txn_mer_2 cashback pending, txn_mer_2 upsell pending" {
		t.Errorf("%s %v", got, err)
	}
}

func TestToldIsRememberedPerServer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	told := func(server string, names ...string) {
		t.Helper()
		var list []actuators.Told
		for _, n := range names {
			list = append(list, actuators.Told{
				Actuator: n, Status: actuation.Status{State: actuation.StateReady, Since: start, Restarts: 2},
				Usage: actuation.Usage{Calls: 7, Snapshots: 70, Failures: 1, Rejections: 3, P50: time.Millisecond, P99: 2 * time.Millisecond},
			})
		}
		if err := s.Store.Tell(t.Context(), server, list); err != nil {
			t.Fatal(err)
		}
	}
	told("a", "wallet", "ins_1")
	told("b", "wallet")
	told("a", "wallet") // ins_1 is gone from it
	list, err := s.Store.Told(t.Context())
	if err != nil || len(list) != 2 || list[0].Server != "a" || list[1].Server != "b" {
		t.Fatalf("%+v %v", list, err)
	}
	if u := list[0].Usage; u.Calls != 7 || u.Snapshots != 70 || u.Failures != 1 || u.Rejections != 3 || u.P99 != 2*time.Millisecond || list[0].Status.Restarts != 2 {
		t.Errorf("%+v", list[0])
	}
}
