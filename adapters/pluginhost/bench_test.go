package pluginhost

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
)

// BenchmarkPlan asks the wallet actuator's process for plans, as payments do,
// and says how much processor time a snapshot takes on either side.
func BenchmarkPlan(b *testing.B) {
	h, err := New(Config{Specs: []Spec{Self("wallet", "actuator", "lean-wallet")}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = h.Start(b.Context())
	}
	if err == nil {
		err = h.WaitReady(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = h.Stop(context.WithoutCancel(b.Context())) }()
	planner := &actuation.Planner{Registry: h}
	for _, size := range []int{1, 12, 60} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			batch := payments(size)
			planner.Plan(b.Context(), batch)
			b.ReportAllocs()
			own, theirs := processorTime(b, os.Getpid()), processorTime(b, h.Reports()[0].Pid)
			for b.Loop() {
				for _, o := range planner.Plan(b.Context(), batch) {
					if o.Err != nil {
						b.Fatal(o.Err)
					}
				}
			}
			each := float64(b.N * size)
			b.ReportMetric(float64(processorTime(b, os.Getpid())-own)/each/1e3, "us-host/plan")
			b.ReportMetric(float64(processorTime(b, h.Reports()[0].Pid)-theirs)/each/1e3, "us-actuator/plan")
		})
	}
}

// payments are snapshots as payments make them, a third of which empties a lot.
func payments(n int) []actuation.Snapshot {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	batch := make([]actuation.Snapshot, n)
	for i := range batch {
		id := fmt.Sprintf("%026d", i)
		batch[i] = actuation.Snapshot{
			ID: "pay_" + id, Kind: actuation.KindWalletDebit, PartnerID: "prt_" + id, MerchantID: "mer_" + id, Mode: "sandbox",
			CustomerID: "cus_" + id, SessionID: "ses_" + id, Currency: money.Currency("USD"), At: at, AmountMinor: 700,
			Wallet: actuation.Wallet{ActualMinor: 100_000, PromoAvailableMinor: 1_500, Verified: true},
			Lots: []actuation.Lot{
				{GrantID: "grt_1" + id, RemainingMinor: int64(500 + i%3*100), ExpiresAt: at.AddDate(0, 1, 0), IssuedAt: at.AddDate(0, -1, 0)},
				{GrantID: "grt_2" + id, RemainingMinor: 1_000, IssuedAt: at.AddDate(0, -1, 0)},
			},
		}
	}
	return batch
}

// processorTime is what all threads of a process have taken. A thread that ended
// takes its time with it; there are few.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		b.Skip("there is no /proc to read processor time from")
	}
	var sum time.Duration
	for _, t := range threads {
		raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		on, _, _ := strings.Cut(string(raw), " ")
		ns, _ := strconv.ParseInt(on, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}
