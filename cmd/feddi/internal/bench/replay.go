package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/report"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/till"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/checkout"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/app/sandbox"
	basket "github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// ReplayOptions say what to replay, and with what.
type ReplayOptions struct {
	// Most bounds the decisions of each kind; the latest ones are taken.
	Most int
	// Make is how many sales and payments are made first where nothing is stored.
	Make int

	Checkout   *checkout.Service
	Incentives *incentives.Service
	// Trace replays a stored trace of any kind: nil where it gives the same
	// bytes, *decision.Mismatch where it does not.
	Trace func(ctx context.Context, t tenancy.Tenant, kind, id string) error
	// Payment plans a payment's stored decision again and gives what would be stored.
	Payment func(ctx context.Context, merchantID string, stored []byte) ([]byte, error)
}

// ReplayReport is what was found.
type ReplayReport struct {
	Head
	Rows []ReplayRow `json:"rows"`
}

// ReplayRow is one kind of decision.
type ReplayRow struct {
	Kind     string        `json:"kind"`
	Replayed int64         `json:"replayed"`
	Same     int64         `json:"same_bytes"`
	Differ   int64         `json:"different_bytes"`
	Failed   int64         `json:"could_not_run"` // made by another version, or its actuator is gone
	First    string        `json:"first_trouble,omitempty"`
	Took     time.Duration `json:"took_ns"`
	Each     Latency       `json:"each"`
}

// paymentKind is the row of the payments' own decisions, which have no trace
// beside the payment.
const paymentKind = "wallet_debit"

// Replay decides stored decisions again and compares bytes. An error means
// that one came out differently.
func Replay(ctx context.Context, d *Deployment, head Head, o ReplayOptions) (*ReplayReport, error) {
	r := &ReplayReport{Head: head}
	kinds, err := pg.Many[string](ctx, d.DB.Q(), `SELECT DISTINCT kind FROM decision_traces ORDER BY 1`)
	if err != nil {
		return r, err
	}
	if len(kinds) == 0 {
		if err := makeDecisions(ctx, d, o); err != nil {
			return r, err
		}
		if kinds, err = pg.Many[string](ctx, d.DB.Q(), `SELECT DISTINCT kind FROM decision_traces ORDER BY 1`); err != nil {
			return r, err
		}
	}
	for _, kind := range append(slices.Clone(kinds), paymentKind) {
		row, err := replayKind(ctx, d, o, kind)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, row)
	}
	for _, row := range r.Rows {
		if row.Differ > 0 {
			return r, fmt.Errorf("%d of %d decisions of kind %s came out differently; the first: %s", row.Differ, row.Replayed, row.Kind, row.First)
		}
	}
	return r, nil
}

// kept is a stored decision.
type kept struct {
	tenant   tenancy.Tenant
	id       string
	decision []byte // of a payment
}

const latestTraces = `SELECT m.tenant_no, m.partner_id, m.merchant_id, m.live, x.trace_id, null::bytea
	FROM decision_traces x JOIN merchants m ON m.tenant_no = x.tenant_no WHERE x.kind = $1 ORDER BY x.at DESC LIMIT $2`

const latestPayments = `SELECT m.tenant_no, m.partner_id, m.merchant_id, m.live, x.payment_id, x.decision
	FROM payments x JOIN merchants m ON m.tenant_no = x.tenant_no WHERE x.decision IS NOT NULL AND $1 <> '' ORDER BY x.payment_id DESC LIMIT $2`

func latest(ctx context.Context, d *Deployment, kind string, most int) ([]kept, error) {
	query := latestTraces
	if kind == paymentKind {
		query = latestPayments
	}
	return pg.ManyFunc(ctx, d.DB.Q(), func(row pgx.CollectableRow) (k kept, err error) {
		var live bool
		err = row.Scan(&k.tenant.No, &k.tenant.PartnerID, &k.tenant.MerchantID, &live, &k.id, &k.decision)
		if k.tenant.Mode = tenancy.Sandbox; live {
			k.tenant.Mode = tenancy.Production
		}
		return k, err
	}, query, kind, most)
}

func replayKind(ctx context.Context, d *Deployment, o ReplayOptions, kind string) (ReplayRow, error) {
	row := ReplayRow{Kind: kind}
	all, err := latest(ctx, d, kind, o.Most)
	if err != nil {
		return row, err
	}
	var h load.Histogram
	begin := time.Now()
	for i, k := range all {
		d.tell("replaying "+kind, float64(i)/float64(len(all)))
		at := time.Now()
		err := o.again(ctx, kind, k)
		h.Record(time.Since(at))
		row.count(err)
		if ctx.Err() != nil {
			return row, ctx.Err()
		}
	}
	row.Took, row.Each = time.Since(begin), latencyOf(&h)
	return row, nil
}

func (o ReplayOptions) again(ctx context.Context, kind string, k kept) error {
	if kind != paymentKind {
		return o.Trace(ctx, k.tenant, kind, k.id)
	}
	return decision.Replay(ctx, decision.Trace{ID: k.id, Outputs: k.decision, Engine: paymentKind}, func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		return o.Payment(ctx, k.tenant.MerchantID, k.decision)
	})
}

func (row *ReplayRow) count(err error) {
	row.Replayed++
	switch different := (*decision.Mismatch)(nil); {
	case err == nil:
		row.Same++
		return
	case errors.As(err, &different):
		row.Differ++
	default:
		row.Failed++
	}
	if row.First == "" {
		row.First = err.Error()
	}
}

// makeDecisions makes sales with offers, cashback and attribution, and
// payments, in a sandbox.
func makeDecisions(ctx context.Context, d *Deployment, o ReplayOptions) error {
	s, err := furnish(ctx, d, 1, max(10, o.Make/10))
	if err != nil {
		return err
	}
	m := s.Merchants[0]
	for i := range o.Make {
		d.tell("making sales", float64(i)/float64(o.Make))
		if err := sell(ctx, o, m, i); err != nil {
			return fmt.Errorf("make a sale: %w", err)
		}
	}
	codes, err := s.Mint(ctx, stage.Order{Codes: o.Make})
	if err != nil {
		return err
	}
	defer codes.Close()
	if err := s.Sign(ctx, d.URL); err != nil {
		return err
	}
	t, err := till.New(s, codes, false, d.Address)
	if err != nil {
		return err
	}
	if err := wanted(load.Run(ctx, load.Plan{Address: d.Address, Connections: 8, Duration: 30 * time.Second, Next: t.Next, Judge: judgePayment})); err != nil {
		return err
	}
	_, _, err = d.catchUp(ctx)
	return err
}

// sell rings one basket up for the sandbox's guest, asks for offers and closes.
func sell(ctx context.Context, o ReplayOptions, m *stage.Merchant, i int) error {
	call := &app.Call{
		Tenant: m.Merchant.Tenant(), BrandID: m.Brand.ID, BranchID: m.Branch.ID, TerminalID: m.Terminal.ID,
		Actor: tenancy.Actor{Mode: tenancy.Sandbox}, RequestID: fmt.Sprintf("req_bench_%d", i),
	}
	draft := &basket.Draft{Lines: []basket.Line{
		{LineID: "1", SKU: "LATTE", Name: "Caffe latte", Category: "coffee", Quantity: int64(1 + i%3), UnitPriceMinor: 450},
		{LineID: "2", SKU: "CROISSANT", Category: "bakery", Quantity: int64(1 + i%2), UnitPriceMinor: int64(300 + i%100)},
	}}
	opened, err := o.Checkout.Open(ctx, call, checkout.OpenInput{
		Currency: stage.Currency, Basket: draft, Credential: &identity.Credential{Type: identity.Phone, Value: sandbox.GuestPhone},
	})
	if err != nil {
		return err
	}
	session := opened.View.Session
	if _, err := o.Incentives.SessionOffers(ctx, call, incentives.FeedInput{SessionID: session.ID}); err != nil {
		return err
	}
	_, err = o.Checkout.Close(ctx, call, checkout.CloseInput{
		SessionID: session.ID, Tenders: []basket.Tender{{Type: "cash", AmountMinor: session.DueMinor()}},
	})
	return err
}

// Print writes the report for a person.
func (r *ReplayReport) Print(w io.Writer) {
	r.Head.Write(w)
	t := report.Table{Head: []string{"decision", "replayed", "same bytes", "differ", "failed", "p50 ms", "p99 ms"}}
	count := func(n int64) string { return report.Count(float64(n)) }
	for _, row := range r.Rows {
		t.Add(row.Kind, count(row.Replayed), count(row.Same), count(row.Differ), count(row.Failed), report.Millis(row.Each.P50), report.Millis(row.Each.P99))
	}
	t.Print(w)
	for _, row := range r.Rows {
		if row.First != "" {
			fmt.Fprintf(w, "%s: %.200s\n", row.Kind, row.First)
		}
	}
}
