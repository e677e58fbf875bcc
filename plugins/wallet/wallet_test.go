package wallet_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
	"github.com/feddi/feddi/plugins/sdk/wire"
	"github.com/feddi/feddi/plugins/wallet"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestConformance(t *testing.T) {
	t.Parallel()
	sdktest.Exercise(t, func() sdk.Actuator { return wallet.Wallet{} })
}

// TestGoldenPath is the coffee of the golden path: 11.75 with 2.50 promo.
func TestGoldenPath(t *testing.T) {
	t.Parallel()
	p := wallet.DebitPlan(sdk.Snapshot{
		ID: "pay_1", Currency: "USD", At: noon, AmountMinor: 1175,
		Wallet: sdk.Wallet{ActualMinor: 2500, PromoAvailableMinor: 250}, Lots: []sdk.Lot{{GrantID: "grt_1", RemainingMinor: 250}},
	})
	want := []sdk.Effect{
		{Kind: sdk.EffectDebit, Class: sdk.ClassPromo, Currency: "USD", AmountMinor: 250, GrantID: "grt_1"},
		{Kind: sdk.EffectDebit, Class: sdk.ClassActual, Currency: "USD", AmountMinor: 925},
	}
	if fmt.Sprint(p.Effects) != fmt.Sprint(want) {
		t.Errorf("%+v", p.Effects)
	}
	if s := p.Reasoning.Summary; s != "Paid 11.75 USD: 2.50 USD from promotional credit, earliest expiry first, then 9.25 USD from the balance." {
		t.Error(s)
	}
	if f := string(p.Reasoning.Facts); f != `{"debited_promo_minor":250,"debited_actual_minor":925,"lots_used":1}` {
		t.Error(f)
	}
}

func TestShortfall(t *testing.T) {
	t.Parallel()
	p := wallet.DebitPlan(sdk.Snapshot{
		ID: "pay_1", Currency: "USD", At: noon, AmountMinor: 1175, Wallet: sdk.Wallet{ActualMinor: 100},
		Lots: []sdk.Lot{{GrantID: "gone", RemainingMinor: 5000, ExpiresAt: noon}, {GrantID: "grt_1", RemainingMinor: 75}},
	})
	if p.Refusal != sdk.RefusalInsufficientFunds || len(p.Effects) != 0 {
		t.Errorf("%+v", p)
	}
	if f := string(p.Reasoning.Facts); f != `{"shortfall_minor":1000,"spendable_actual_minor":100,"spendable_promo_minor":75}` {
		t.Error(f)
	}
	if s := p.Reasoning.Summary; s != "11.75 USD cannot be paid from the wallet: 10.00 USD short. Spendable now: 1.00 USD balance and 0.75 USD promotional credit." {
		t.Error(s)
	}
}

// TestAlwaysProven: whatever the wallet holds, the core proves the plan.
func TestAlwaysProven(t *testing.T) {
	t.Parallel()
	m := manifest(t)
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		res, err := sdk.NewServer(wallet.Wallet{}).PlanBatch(t.Context(), wire.PlanBatchRequest([]actuation.Snapshot{s}))
		if err != nil {
			t.Fatal(err)
		}
		p := wire.Plans(res)[0]
		if err := actuation.Validate(m, s, p); err != nil {
			t.Fatalf("%v\n%+v\n%+v", err, s, p)
		}
		if funds := funds(s); (p.Refusal == "") != (funds >= s.AmountMinor) {
			t.Fatalf("refusal %q with %d spendable for %d", p.Refusal, funds, s.AmountMinor)
		}
	})
}

func manifest(t *testing.T) actuation.Manifest {
	t.Helper()
	res, err := sdk.NewServer(wallet.Wallet{}).Describe(t.Context(), &actuatorv1.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return wire.Manifest(res.GetManifest())
}

func drawSnapshot(t *rapid.T) actuation.Snapshot {
	s := actuation.Snapshot{
		ID: "pay_1", Kind: actuation.KindWalletDebit, CustomerID: "cus_1", Currency: "USD", At: noon,
		AmountMinor: rapid.Int64Range(1, 500).Draw(t, "amount"), Wallet: actuation.Wallet{ActualMinor: rapid.Int64Range(0, 300).Draw(t, "actual")},
	}
	for i := range rapid.IntRange(0, 7).Draw(t, "lots") {
		l := actuation.Lot{GrantID: fmt.Sprint("grt_", i), RemainingMinor: rapid.Int64Range(0, 120).Draw(t, "remaining")}
		if h := rapid.IntRange(-1, 3).Draw(t, "expiry"); h != 0 {
			l.ExpiresAt = noon.Add(time.Duration(h) * time.Hour)
		}
		if rapid.Bool().Draw(t, "dated") {
			l.IssuedAt = noon.Add(-time.Duration(rapid.IntRange(1, 3).Draw(t, "age")) * time.Hour)
		}
		s.Lots = append(s.Lots, l)
	}
	return s
}

func funds(s actuation.Snapshot) int64 {
	sum := s.Wallet.ActualMinor
	for _, l := range s.Lots {
		if l.ExpiresAt.IsZero() || l.ExpiresAt.After(s.At) {
			sum += l.RemainingMinor
		}
	}
	return sum
}

// BenchmarkPlanBatch64 measures what a batch costs beside the socket: reading
// the request, 64 plans, writing the answer, and the host's side of both.
func BenchmarkPlanBatch64(b *testing.B) {
	batch := make([]actuation.Snapshot, 64)
	for i := range batch {
		batch[i] = actuation.Snapshot{
			ID: fmt.Sprint("pay_01k9z0000000000000000000", i), Kind: actuation.KindWalletDebit, PartnerID: "par_01k9z00000000000000000000",
			MerchantID: "mer_01k9z00000000000000000000", Mode: "sandbox", CustomerID: "cus_01k9z00000000000000000000", SessionID: "cs_01k9z00000000000000000000",
			Currency: "USD", At: noon, AmountMinor: 1175, Wallet: actuation.Wallet{ActualMinor: 2500, PromoAvailableMinor: 500, Verified: true},
			Lots: []actuation.Lot{
				{GrantID: "grt_01k9z00000000000000000001", RemainingMinor: 250, ExpiresAt: noon.AddDate(0, 0, 3), IssuedAt: noon.AddDate(0, 0, -3)},
				{GrantID: "grt_01k9z00000000000000000002", RemainingMinor: 250, IssuedAt: noon.AddDate(0, 0, -3)},
			},
		}
	}
	server := sdk.NewServer(wallet.Wallet{})
	b.ReportAllocs()
	for b.Loop() {
		raw, err := proto.Marshal(wire.PlanBatchRequest(batch))
		if err != nil {
			b.Fatal(err)
		}
		var req actuatorv1.PlanBatchRequest
		if err := proto.Unmarshal(raw, &req); err != nil {
			b.Fatal(err)
		}
		res, err := server.PlanBatch(b.Context(), &req)
		if err != nil {
			b.Fatal(err)
		}
		if raw, err = proto.Marshal(res); err != nil {
			b.Fatal(err)
		}
		var answer actuatorv1.PlanBatchResponse
		if err := proto.Unmarshal(raw, &answer); err != nil || len(wire.Plans(&answer)) != len(batch) {
			b.Fatal(err)
		}
	}
}
