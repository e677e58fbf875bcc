package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/handshake"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

// TestMain lets the test binary be an actuator that is started by hand.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "by-hand" {
		sdk.Serve(birthday{})
	}
	os.Exit(m.Run())
}

func TestConformanceOfTheExample(t *testing.T) {
	t.Parallel()
	sdktest.Exercise(t, func() sdk.Actuator { return birthday{} }, sdktest.Snapshots(sdk.Snapshot{
		ID: "today", Kind: sdk.KindOffer, MerchantID: "mer_1", CustomerID: "cus_1", Currency: "USD", At: time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC),
		AmountMinor: 1, Allowance: sdk.Allowance{MaxGrantMinor: 250, Sources: []string{"OFFER"}, Budgets: []sdk.Budget{{BudgetID: "bud_1"}}},
		Lots:  []sdk.Lot{{GrantID: "grt_1", RemainingMinor: 5}},
		Facts: json.RawMessage(`{"birthday":"06-01"}`),
	}))
}

func TestStartedByHand(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, "by-hand").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("This binary is a plugin")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestOrphan: an actuator whose parent is not its host ends by itself, also
// where the system does not see to it.
func TestOrphan(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "by-hand")
	cookie := handshake.Config()
	cmd.Env = []string{cookie.MagicCookieKey + "=" + cookie.MagicCookieValue, handshake.ParentEnv + "=1", "TMPDIR=" + t.TempDir()}
	if os.Getpid() == 1 {
		cmd.Env[1] = handshake.ParentEnv + "=2"
	}
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
}

func TestAmount(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]struct {
		minor    int64
		currency string
	}{
		"11.75 USD": {1175, "USD"}, "0.05 EUR": {5, "EUR"}, "0.00 USD": {0, "USD"}, "-1.50 USD": {-150, "USD"}, "500 JPY": {500, "JPY"},
		"1.234 KWD": {1234, "KWD"}, "-92233720368547758.08 USD": {-1 << 63, "USD"},
	} {
		if got := sdk.Amount(in.minor, in.currency); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSpendableLots(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		s := sdk.Snapshot{At: at}
		for i := range rapid.IntRange(0, 8).Draw(t, "n") {
			l := sdk.Lot{GrantID: string(rune('a' + i)), RemainingMinor: rapid.Int64Range(0, 2).Draw(t, "remaining"), IssuedAt: at.Add(-time.Duration(rapid.IntRange(0, 2).Draw(t, "age")))}
			if rapid.Bool().Draw(t, "expires") {
				l.ExpiresAt = at.Add(time.Duration(rapid.IntRange(-1, 2).Draw(t, "expiry")))
			}
			s.Lots = append(s.Lots, l)
		}
		before := slices.Clone(s.Lots)
		got := s.SpendableLots()
		if !slices.Equal(before, s.Lots) {
			t.Fatal("the snapshot was changed")
		}
		for i, l := range got {
			if l.RemainingMinor <= 0 || (!l.ExpiresAt.IsZero() && !l.ExpiresAt.After(at)) {
				t.Fatalf("%+v cannot be spent", l)
			}
			if i > 0 && after(got[i-1], l) {
				t.Fatalf("%+v comes before %+v", got[i-1], l)
			}
		}
	})
}

// after reports whether x must be spent after y.
func after(x, y sdk.Lot) bool {
	switch {
	case x.ExpiresAt.Equal(y.ExpiresAt):
		return x.IssuedAt.After(y.IssuedAt) || (x.IssuedAt.Equal(y.IssuedAt) && x.GrantID > y.GrantID)
	case x.ExpiresAt.IsZero():
		return true
	default:
		return !y.ExpiresAt.IsZero() && x.ExpiresAt.After(y.ExpiresAt)
	}
}

// fixed is an actuator of functions.
type fixed struct {
	birthday

	plan func(context.Context, sdk.Snapshot) (sdk.Plan, error)
}

func (f fixed) Plan(ctx context.Context, s sdk.Snapshot) (sdk.Plan, error) { return f.plan(ctx, s) }

// together plans batches.
type together struct {
	birthday

	plan func([]sdk.Snapshot) ([]sdk.Plan, error)
}

func (b together) PlanBatch(_ context.Context, batch []sdk.Snapshot) ([]sdk.Plan, error) {
	return b.plan(batch)
}

func two() *actuatorv1.PlanBatchRequest {
	return wire.PlanBatchRequest([]actuation.Snapshot{{ID: "a", Kind: actuation.KindOffer}, {ID: "b", Kind: actuation.KindOffer}})
}

func TestOneBadSnapshotLeavesTheOthers(t *testing.T) {
	t.Parallel()
	good := sdk.Plan{Refusal: "no", Reasoning: sdk.Reasoning{Summary: "No.", Rule: "no"}}
	for name, c := range map[string]struct {
		code string
		plan func() (sdk.Plan, error)
	}{
		"untyped":    {sdk.CodeInternal, func() (sdk.Plan, error) { return sdk.Plan{}, errors.New("plain") }},
		"typed":      {"invalid_settings", func() (sdk.Plan, error) { return sdk.Plan{}, &sdk.Error{Code: "invalid_settings", Message: "\xff"} }},
		"panic":      {sdk.CodeInternal, func() (sdk.Plan, error) { panic("mine") }},
		"unreadable": {sdk.CodeInternal, func() (sdk.Plan, error) { return sdk.Plan{Refusal: "\xff"}, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := sdk.NewServer(fixed{plan: func(_ context.Context, s sdk.Snapshot) (sdk.Plan, error) {
				if s.ID == "a" {
					return c.plan()
				}
				return good, nil
			}})
			res, err := server.PlanBatch(t.Context(), two())
			if err != nil {
				t.Fatal(err)
			}
			plans := wire.Plans(res)
			if plans[0].Failure == nil || plans[0].Failure.Code != c.code || plans[0].SnapshotID != "a" || plans[1].Refusal != "no" {
				t.Errorf("%+v", plans)
			}
		})
	}
}

func TestBatchPlanner(t *testing.T) {
	t.Parallel()
	req := two()
	req.Snapshots = append(req.Snapshots, &actuatorv1.Snapshot{Id: "c", Kind: "not_mine"})
	res, err := sdk.NewServer(together{plan: func(batch []sdk.Snapshot) ([]sdk.Plan, error) {
		plans := make([]sdk.Plan, len(batch))
		for i, s := range batch {
			plans[i] = sdk.Plan{SnapshotID: s.ID, Refusal: "no"}
		}
		return plans, nil
	}}).PlanBatch(t.Context(), req)
	if err != nil || len(res.GetPlans()) != 3 || res.GetPlans()[0].GetError().GetCode() != sdk.CodeUnsupportedKind || res.GetPlans()[2].GetSnapshotId() != "b" {
		t.Errorf("%v %v", err, res)
	}
	for want, fail := range map[codes.Code]func([]sdk.Snapshot) ([]sdk.Plan, error){
		codes.Internal:           func([]sdk.Snapshot) ([]sdk.Plan, error) { panic("mine") },
		codes.FailedPrecondition: func([]sdk.Snapshot) ([]sdk.Plan, error) { return nil, &sdk.Error{Code: "closed"} },
		codes.Unavailable:        func([]sdk.Snapshot) ([]sdk.Plan, error) { return nil, &sdk.Error{Code: "busy", Retryable: true} },
	} {
		if _, err := sdk.NewServer(together{plan: fail}).PlanBatch(t.Context(), two()); status.Code(err) != want || wire.Failure(err) == nil {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// TestCancelledInTheMiddle: the call ends with the caller's reason, not with
// the author's words for it.
func TestCancelledInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := sdk.NewServer(fixed{plan: func(ctx context.Context, _ sdk.Snapshot) (sdk.Plan, error) {
		cancel()
		return sdk.Plan{}, errors.New("gave up")
	}})
	if _, err := server.PlanBatch(ctx, two()); status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
}

// TestVocabulary: the SDK's words are the core's, so that none is missing on
// one side.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	kinds := []sdk.Kind{sdk.KindOffer, sdk.KindRecovery, sdk.KindCashback, sdk.KindUpsell, sdk.KindAttribution, sdk.KindFraudFlag, sdk.KindEnrichment, sdk.KindWalletDebit}
	if len(kinds) != len(actuation.Kinds()) {
		t.Error("decision kinds differ")
	}
	for i, k := range actuation.Kinds() {
		if string(k) != string(kinds[i]) {
			t.Errorf("decision kind %s is %s in the SDK", k, kinds[i])
		}
	}
	effects := []sdk.EffectKind{sdk.EffectDebit, sdk.EffectGrant, sdk.EffectPoints, sdk.EffectAttribution, sdk.EffectMessage, sdk.EffectAnnotation}
	if len(effects) != len(actuation.EffectKinds()) {
		t.Error("effect kinds differ")
	}
	for i, k := range actuation.EffectKinds() {
		if string(k) != string(effects[i]) {
			t.Errorf("effect kind %s is %s in the SDK", k, effects[i])
		}
	}
	if sdk.RefusalInsufficientFunds != actuation.RefusalInsufficientFunds || string(sdk.Required) != string(actuation.Required) || string(sdk.Optional) != string(actuation.Optional) {
		t.Error("refusals or policies differ")
	}
}
