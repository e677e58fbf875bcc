package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/test/contract/exchange"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

const (
	version  = "2026-06-01"
	merchant = "mer_a"
	other    = "mer_b"
)

var epoch = time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)

// credentials are what the tests present; the real verifiers have tests of
// their own.
var credentials = map[string]tenancy.Actor{
	"key-a": {Kind: tenancy.KeyCall, PartnerID: "par_1", Mode: tenancy.Sandbox, KeyID: "key_a", Scope: tenancy.ScopeEnterprise, Operator: true, Merchants: []string{merchant}},
	"key-2": {Kind: tenancy.KeyCall, PartnerID: "par_1", Mode: tenancy.Sandbox, KeyID: "key_2", Scope: tenancy.ScopeEnterprise, Merchants: []string{merchant, other}},
	"key-branch": {Kind: tenancy.KeyCall, PartnerID: "par_1", Mode: tenancy.Sandbox, KeyID: "key_b", Scope: tenancy.ScopeBranch,
		Merchants: []string{merchant}, BrandID: "brd_1", BranchID: "brn_1"},
	// A token whose key is not narrowed to a brand.
	"token-b": {Kind: tenancy.TerminalCall, PartnerID: "par_1", Mode: tenancy.Sandbox, KeyID: "key_a", Scope: tenancy.ScopeEnterprise,
		Merchants: []string{merchant}, BranchID: "brn_2", TerminalID: "trm_2"},
	"token-a": {Kind: tenancy.TerminalCall, PartnerID: "par_1", Mode: tenancy.Sandbox, KeyID: "key_a", Scope: tenancy.ScopeBranch,
		Merchants: []string{merchant}, BrandID: "brd_1", BranchID: "brn_1", TerminalID: "trm_1"},
}

type authenticator struct{}

func (authenticator) Key(_ context.Context, raw string) (tenancy.Actor, error) {
	if raw == "key-revoked" {
		return tenancy.Actor{}, fault.New(fault.CodeAPIKeyRevoked, "this key was revoked")
	}
	return known(raw, tenancy.KeyCall)
}

func (authenticator) Terminal(_ context.Context, token string) (tenancy.Actor, error) {
	return known(token, tenancy.TerminalCall)
}

func known(raw string, kind tenancy.CredentialKind) (tenancy.Actor, error) {
	if a, ok := credentials[raw]; ok && a.Kind == kind {
		return a, nil
	}
	return tenancy.Actor{}, fault.New(fault.CodeUnauthenticated, "unknown credential")
}

// limiter refuses the keys it is told to.
type limiter struct {
	mu      sync.Mutex
	refused map[string]time.Duration
	asked   []string
}

func (l *limiter) Allow(key string) (bool, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, key)
	after, no := l.refused[key]
	return !no, after
}

type places struct{}

func (places) Resolve(_ context.Context, tenant tenancy.Tenant, p pipeline.Place) (pipeline.Place, error) {
	branches := map[string]string{"brn_1": "brd_1", "brn_2": "brd_1", "brn_3": "brd_2"}
	terminals := map[string]string{"trm_1": "brn_1", "trm_2": "brn_2"}
	if p.TerminalID != "" {
		branch, ok := terminals[p.TerminalID]
		if !ok || tenant.MerchantID != merchant {
			return p, fault.NotFound("terminal")
		}
		if p.BranchID != "" && p.BranchID != branch {
			return p, fault.NotFound("terminal")
		}
		p.BranchID = branch
	}
	if p.BranchID != "" {
		brand, ok := branches[p.BranchID]
		if !ok || tenant.MerchantID != merchant || p.BrandID != "" && p.BrandID != brand {
			return p, fault.NotFound("branch")
		}
		p.BrandID = brand
	}
	return p, nil
}

// replays is a store of outcomes in memory: a map with expiry, no more.
type replays struct {
	mu      sync.Mutex
	records map[idempotency.Scope]idempotency.Record
	finds   int
}

func (r *replays) Find(_ context.Context, scope idempotency.Scope, now time.Time) (*idempotency.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finds++
	if rec, ok := r.records[scope]; ok && now.Before(rec.ExpiresAt) {
		return &rec, nil
	}
	return nil, nil
}

func (r *replays) Claim(_ context.Context, rec idempotency.Record, now time.Time) (*idempotency.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found, ok := r.records[rec.Scope]; ok && now.Before(found.ExpiresAt) {
		return &found, nil
	}
	r.records[rec.Scope] = rec
	return nil, nil
}

func (r *replays) Settle(_ context.Context, scope idempotency.Scope, o idempotency.Outcome) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.records[scope]
	rec.Outcome = o
	r.records[scope] = rec
	return nil
}

func (r *replays) Sweep(context.Context, time.Time, int) (int, error) { return 0, nil }

func (r *replays) drop(scope idempotency.Scope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.records, scope)
}

// Do makes it the unit of work of its own claims.
func (r *replays) Do(ctx context.Context, fn func(context.Context, app.Stores) error) error {
	return fn(ctx, app.Stores{Idempotency: r})
}

func (r *replays) Read() app.Stores { return app.Stores{Idempotency: r} }

// service answers a handful of operations with what the tests set.
type service struct {
	bundle *bundle
}

// bundle is a server with everything a test may look at.
type bundle struct {
	t       *testing.T
	server  *httptest.Server
	api     *api.Server
	clock   *clock.Manual
	limits  *limiter
	replays *replays
	log     *bytes.Buffer

	mu      sync.Mutex
	calls   []app.Call // every call that reached a handler
	prepare func(ctx context.Context, call *app.Call, amount int64) (prepared, error)
	health  int // status of GET /health
	// trial answers evaluateOffers with a number of cases; report is nil unless it is streamed.
	trial   func(ctx context.Context, report func(done int)) (int, error)
	retried bool
	// observed are the answers by operation, status, code and whether replayed.
	observed []string
}

type prepared struct {
	ID       string
	Amount   int64
	Existing bool
}

// reserve makes an operation of c planned, whatever the contract says of it by now.
func reserve(t *testing.T, c *operation.Catalogue, id string) {
	t.Helper()
	for _, o := range c.All {
		if options, ok := proto.Clone(o.Options).(*optionsv1.Operation); ok && o.ID == id {
			options.Maturity = optionsv1.Maturity_MATURITY_PLANNED
			o.Options = options
			return
		}
	}
	t.Fatalf("no operation %s", id)
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: clock.NewManual(epoch), limits: &limiter{}, log: &bytes.Buffer{}, replays: &replays{records: map[idempotency.Scope]idempotency.Record{}}}
	b.prepare = func(_ context.Context, _ *app.Call, amount int64) (prepared, error) {
		return prepared{ID: "top_1", Amount: amount}, nil
	}
	c, err := api.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	reserve(t, c, "refundCreate")
	reg := pipeline.NewRegistry(c, tenancy.Sandbox)
	service{b}.register(reg)
	b.api, err = api.New(pipeline.Config{
		Registry: reg, Auth: authenticator{}, Limits: b.limits, Places: places{}, Replays: b.replays, Clock: b.clock,
		IDs: ids.New(b.clock), Versions: pipeline.Versions, ServerKey: bytes.Repeat([]byte{7}, 32),
		Log: slog.New(slog.NewTextHandler(&locked{mu: &b.mu, w: b.log}, nil)), Timeout: 2 * time.Second,
		Observe: func(_ context.Context, o pipeline.Observation) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.observed = append(b.observed, fmt.Sprint(o.Call.Operation, " ", o.Status, " ", o.Code, " ", o.Replayed))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewUnstartedServer(b.api)
	b.server.Config.Protocols = api.NewHTTPServer(nil, slog.Default()).Protocols
	b.server.Start()
	t.Cleanup(b.server.Close)
	return b
}

var readDocument = sync.OnceValues(func() (*exchange.Checker, error) {
	document, err := api.FullDocument()
	if err != nil {
		return nil, err
	}
	return exchange.New(api.Base, document)
})

// published checks against the document of the whole contract.
func published(t *testing.T) *exchange.Checker {
	t.Helper()
	c, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// locked is a writer for several goroutines.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (s service) register(reg *pipeline.Registry) {
	pipeline.Handle(reg, partnerv1connect.TopupServicePrepareTopupProcedure, s.prepareTopup)
	pipeline.Handle(reg, partnerv1connect.TopupServiceGetTopupProcedure, s.getTopup)
	pipeline.Handle(reg, partnerv1connect.TopupServiceListTopupSkusProcedure, s.listSkus)
	pipeline.Handle(reg, partnerv1connect.TopupServiceRegisterTopupSkuProcedure, s.registerSku)
	pipeline.Handle(reg, partnerv1connect.PaymentsServicePaymentAuthorizeProcedure, s.pay, pipeline.Unsearched())
	pipeline.Handle(reg, partnerv1connect.AuthServiceCreateSandboxCredentialsProcedure, s.sandbox)
	pipeline.Handle(reg, partnerv1connect.AuthServiceListApiKeysProcedure, s.listKeys, pipeline.AnyMerchant())
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceClawbackGrantProcedure, s.clawback)
	pipeline.Handle(reg, partnerv1connect.IncentivesServiceEvaluateOffersProcedure, s.evaluate)
	pipeline.Handle(reg, partnerv1connect.CustomersServiceLookupCustomerProcedure, s.lookup)
	pipeline.Handle(reg, partnerv1connect.PlatformServiceGetHealthProcedure, s.getHealth)
	pipeline.Handle(reg, partnerv1connect.TransactionsServiceGetReceiptProcedure, s.receipt,
		pipeline.Represented("text/plain", func(_ context.Context, _ *app.Call, res *partnerv1.GetReceiptResponse) ([]byte, error) {
			return []byte("receipt of " + res.GetTransactionId() + "\n"), nil
		}),
		pipeline.Represented("application/pdf", func(context.Context, *app.Call, *partnerv1.GetReceiptResponse) ([]byte, error) {
			return []byte("%PDF-1.7"), nil
		}))
}

func (s service) saw(call *app.Call) {
	s.bundle.mu.Lock()
	defer s.bundle.mu.Unlock()
	s.bundle.calls = append(s.bundle.calls, *call)
}

func (s service) prepareTopup(ctx context.Context, call *app.Call, req *partnerv1.PrepareTopupRequest) (*partnerv1.PrepareTopupResponse, error) {
	s.saw(call)
	use := func(ctx context.Context, call *app.Call, amount int64) (prepared, error) {
		return app.Mutate(ctx, s.bundle.replays, s.bundle.clock.Now(), call, func(ctx context.Context, _ app.Stores) (prepared, error) {
			out, err := s.bundle.prepare(ctx, call, amount)
			if err != nil && !fault.Is(err, fault.CodeInsufficientFunds) {
				s.bundle.replays.drop(call.Pin.Scope) // what a database undoes
			}
			return out, err
		})
	}
	return pipeline.Run(ctx, call, use, req.GetAmountMinor(), func(_ *app.Call, p prepared) *partnerv1.PrepareTopupResponse {
		return &partnerv1.PrepareTopupResponse{TopupId: p.ID, State: "PENDING", AmountMinor: p.Amount, Currency: "USD", CreatedAt: timestamppb.New(epoch)}
	})
}

func (s service) getTopup(_ context.Context, call *app.Call, req *partnerv1.GetTopupRequest) (*partnerv1.GetTopupResponse, error) {
	s.saw(call)
	switch req.GetTopupId() {
	case "top_1":
		return &partnerv1.GetTopupResponse{TopupId: "top_1", State: "COMPLETED", AmountMinor: 1 << 60, Meta: pipeline.Trace("dt_1")}, nil
	case "mangled":
		return &partnerv1.GetTopupResponse{TopupId: "\xff"}, nil
	case "panic":
		panic("the secret is a pomegranate")
	case "broken":
		return nil, errors.New("the database says: password wrong")
	case "nothing":
		return nil, nil
	}
	return nil, fault.NotFound("topup")
}

func (s service) listSkus(_ context.Context, call *app.Call, req *partnerv1.ListTopupSkusRequest) (*partnerv1.ListTopupSkusResponse, error) {
	s.saw(call)
	return &partnerv1.ListTopupSkusResponse{Meta: pipeline.Cursor("next")}, nil
}

func (s service) registerSku(ctx context.Context, call *app.Call, req *partnerv1.RegisterTopupSkuRequest) (*partnerv1.RegisterTopupSkuResponse, error) {
	use := func(ctx context.Context, call *app.Call, in string) (prepared, error) {
		return app.Mutate(ctx, s.bundle.replays, s.bundle.clock.Now(), call, func(context.Context, app.Stores) (prepared, error) {
			if s.bundle.retried {
				_, err := call.Pin.Encode(prepared{ID: in, Existing: true}, nil) // the first try, which the database refuses
				return prepared{ID: in}, err
			}
			return prepared{ID: in, Existing: true}, nil
		})
	}
	return pipeline.Run(ctx, call, use, req.GetSkuId(), func(call *app.Call, p prepared) *partnerv1.RegisterTopupSkuResponse {
		if p.Existing {
			pipeline.SetStatus(call, http.StatusOK)
		}
		return &partnerv1.RegisterTopupSkuResponse{Sku: &partnerv1.TopupSku{SkuId: p.ID}}
	})
}

func (s service) pay(ctx context.Context, call *app.Call, req *partnerv1.PaymentAuthorizeRequest) (*partnerv1.PaymentAuthorizeResponse, error) {
	s.saw(call)
	return pipeline.Run(ctx, call, func(ctx context.Context, call *app.Call, in int64) (int64, error) {
		return app.Mutate(ctx, s.bundle.replays, s.bundle.clock.Now(), call, func(ctx context.Context, _ app.Stores) (int64, error) {
			p, err := s.bundle.prepare(ctx, call, in)
			return p.Amount, err
		})
	}, req.GetAmountMinor(), func(_ *app.Call, amount int64) *partnerv1.PaymentAuthorizeResponse {
		return &partnerv1.PaymentAuthorizeResponse{PaymentId: "pay_1", Status: "succeeded", AmountMinor: amount, DebitedActualMinor: amount, Currency: "USD"}
	})
}

func (s service) sandbox(ctx context.Context, call *app.Call, _ *partnerv1.CreateSandboxCredentialsRequest) (*partnerv1.CreateSandboxCredentialsResponse, error) {
	s.saw(call)
	return pipeline.Run(ctx, call, func(ctx context.Context, call *app.Call, in string) (string, error) {
		return app.Mutate(ctx, s.bundle.replays, s.bundle.clock.Now(), call, func(context.Context, app.Stores) (string, error) { return in, nil })
	}, "fddi_test_secret", func(_ *app.Call, raw string) *partnerv1.CreateSandboxCredentialsResponse {
		return &partnerv1.CreateSandboxCredentialsResponse{RawKey: raw}
	})
}

func (s service) listKeys(_ context.Context, call *app.Call, _ *partnerv1.ListApiKeysRequest) (*partnerv1.ListApiKeysResponse, error) {
	s.saw(call)
	return &partnerv1.ListApiKeysResponse{}, nil
}

// clawback forgets to pin its outcome.
func (s service) clawback(_ context.Context, call *app.Call, req *partnerv1.ClawbackGrantRequest) (*partnerv1.ClawbackGrantResponse, error) {
	s.saw(call)
	return &partnerv1.ClawbackGrantResponse{}, nil
}

func (s service) evaluate(ctx context.Context, call *app.Call, _ *partnerv1.EvaluateOffersRequest) (*partnerv1.EvaluateOffersResponse, error) {
	s.saw(call)
	report := pipeline.Reporter(ctx, func(done int) *partnerv1.EvaluateOffersProgress {
		return &partnerv1.EvaluateOffersProgress{CasesDone: int32(done), CasesTotal: 9}
	})
	return pipeline.Run(ctx, call, func(ctx context.Context, call *app.Call, report func(int)) (int, error) {
		cases, err := s.bundle.trial(ctx, report)
		if err != nil {
			return 0, err
		}
		return app.Mutate(ctx, s.bundle.replays, s.bundle.clock.Now(), call, func(context.Context, app.Stores) (int, error) { return cases, nil })
	}, report, func(_ *app.Call, cases int) *partnerv1.EvaluateOffersResponse {
		return &partnerv1.EvaluateOffersResponse{Meta: pipeline.Trace("dt_1"), Totals: &partnerv1.OfferEvaluationTotals{CasesCount: int32(cases), Currency: "USD"}}
	})
}

func (s service) lookup(_ context.Context, call *app.Call, _ *partnerv1.LookupCustomerRequest) (*partnerv1.LookupCustomerResponse, error) {
	s.saw(call)
	return &partnerv1.LookupCustomerResponse{Status: "not_found"}, nil
}

func (s service) getHealth(_ context.Context, call *app.Call, _ *partnerv1.GetHealthRequest) (*partnerv1.GetHealthResponse, error) {
	if s.bundle.health != 0 {
		pipeline.SetStatus(call, s.bundle.health)
		return &partnerv1.GetHealthResponse{Status: "degraded", DegradedSubsystems: []string{"database"}}, nil
	}
	return &partnerv1.GetHealthResponse{Status: "ok"}, nil
}

func (s service) receipt(_ context.Context, call *app.Call, req *partnerv1.GetReceiptRequest) (*partnerv1.GetReceiptResponse, error) {
	return &partnerv1.GetReceiptResponse{TransactionId: req.GetTransactionId()}, nil
}

// call is one request of a test. Zero members are what an ordinary call has.
type call struct {
	method, path string
	header       map[string]string // an empty value leaves an ordinary header out
	body         string
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
	ok     bool
	data   map[string]any
	fault  map[string]any
	meta   map[string]any
}

func (r reply) code() string {
	code, _ := r.fault["code"].(string)
	return code
}

// detail is the first detail's field and rule, with a space between.
func (r reply) detail() string {
	details, _ := r.fault["details"].([]any)
	if len(details) == 0 {
		return ""
	}
	d := details[0].(map[string]any)
	return d["field"].(string) + " " + d["rule"].(string)
}

func (b *bundle) do(c call) reply {
	b.t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(b.t.Context(), c.method, b.server.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token-a")
	if c.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", uuid.NewString())
	}
	for name, value := range c.header {
		if value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	res, err := b.server.Client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	out := reply{status: res.StatusCode, header: res.Header}
	if out.body, err = io.ReadAll(res.Body); err != nil {
		b.t.Fatal(err)
	}
	// Successes come from handlers that the tests made up; failures are the
	// server's own, and must be those of the document.
	if res.StatusCode >= http.StatusBadRequest {
		if err := published(b.t).Check(c.method, req.URL.Path, nil, res.StatusCode, res.Header.Get("Content-Type"), out.body); err != nil {
			b.t.Error(err)
		}
	}
	if res.Header.Get("Content-Type") == "application/json" && len(out.body) > 0 {
		var envelope struct {
			OK                bool
			Data, Error, Meta map[string]any
		}
		if err := json.Unmarshal(out.body, &envelope); err != nil {
			b.t.Fatalf("%s: %v", out.body, err)
		}
		out.ok, out.data, out.fault, out.meta = envelope.OK, envelope.Data, envelope.Error, envelope.Meta
	}
	return out
}

func (b *bundle) last() app.Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.calls) == 0 {
		b.t.Fatal("no call reached a handler")
	}
	return b.calls[len(b.calls)-1]
}

func (b *bundle) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

const (
	prepareBody = `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"customer_id":"cus_1","amount_minor":2500,"currency":"USD"}`
	payBody     = `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"amount_minor":1175,"currency":"USD","credential":{"credential_type":"qr","value":"x"}}`
)

// with replaces or adds one member of prepareBody.
func with(old, new string) string { return strings.Replace(prepareBody, old, new, 1) }
