package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// sender puts the headers of an ordinary call on a client's requests.
type sender struct {
	key  string
	more map[string]string
}

func (s sender) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		s.put(req.Header())
		return next(ctx, req)
	}
}

func (s sender) put(header http.Header) {
	header.Set("Authorization", "Bearer token-a")
	header.Set("Idempotency-Key", s.key)
	for name, value := range s.more {
		if value == "" {
			header.Del(name)
		} else {
			header.Set(name, value)
		}
	}
}

func (s sender) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		s.put(conn.RequestHeader())
		return conn
	}
}

func (sender) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// h2c speaks HTTP/2 without TLS, as gRPC clients inside a network do.
func h2c() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

// protocols are the ways into the Connect door.
var protocols = map[string]struct {
	options []connect.ClientOption
	h2      bool
}{
	"connect proto":     {},
	"connect json":      {options: []connect.ClientOption{connect.WithProtoJSON()}},
	"connect proto h2c": {h2: true},
	"connect json h2c":  {options: []connect.ClientOption{connect.WithProtoJSON()}, h2: true},
	"grpc":              {options: []connect.ClientOption{connect.WithGRPC()}, h2: true},
	"grpc-web":          {options: []connect.ClientOption{connect.WithGRPCWeb()}},
}

func (b *bundle) topups(protocol string, s sender) partnerv1connect.TopupServiceClient {
	client, options := b.way(protocol, s)
	return partnerv1connect.NewTopupServiceClient(client, b.server.URL, options...)
}

func (b *bundle) way(protocol string, s sender) (*http.Client, []connect.ClientOption) {
	p := protocols[protocol]
	client := b.server.Client()
	if p.h2 {
		client = h2c()
	}
	return client, append(slices.Clone(p.options), connect.WithInterceptors(s))
}

func prepareRequest() *partnerv1.PrepareTopupRequest {
	return &partnerv1.PrepareTopupRequest{
		Meta: &partnerv1.RequestMeta{ApiVersion: version}, Context: &partnerv1.RequestContext{MerchantId: merchant},
		CustomerId: proto.String("cus_1"), AmountMinor: 2500, Currency: "USD",
	}
}

// typed is the one detail of an error.
func typed(t *testing.T, err error) *partnerv1.Error {
	t.Helper()
	var e *connect.Error
	if !errors.As(err, &e) || len(e.Details()) != 1 {
		t.Fatalf("not an error with one detail: %v", err)
	}
	value, err := e.Details()[0].Value()
	if err != nil {
		t.Fatal(err)
	}
	return value.(*partnerv1.Error)
}

// A call over REST and the same call over every protocol of the Connect door
// have one outcome: whichever comes second is the replay of the first.
func TestBothDoorsShareEverything(t *testing.T) {
	t.Parallel()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			key := uuid.NewString()
			rest := b.do(call{path: "/v1/partner/topup/prepare", header: map[string]string{"Idempotency-Key": key}, body: prepareBody})
			header := &responseHeader{}
			res, err := b.topups(protocol, sender{key: key, more: map[string]string{}}).PrepareTopup(header.watch(t.Context()), prepareRequest())
			if err != nil {
				t.Fatal(err)
			}
			if !res.GetMeta().GetIdempotencyReplayed() || res.GetMeta().GetRequestId() != rest.meta["request_id"] || header.get("Idempotency-Replayed") != "true" {
				t.Errorf("not the replay of what REST did: %v, headers %v", res.GetMeta(), header.values)
			}
			fresh, err := b.topups(protocol, sender{key: uuid.NewString()}).PrepareTopup(t.Context(), prepareRequest())
			if err != nil {
				t.Fatal(err)
			}
			if fresh.GetMeta().GetIdempotencyReplayed() || fresh.GetMeta().GetApiVersion() != version {
				t.Errorf("%v", fresh.GetMeta())
			}
			fresh.Meta, res.Meta = nil, nil
			if !proto.Equal(fresh, res) {
				t.Errorf("%v\n%v", fresh, res)
			}
			if n := b.api.Pipeline.Defects(); n != 0 {
				t.Errorf("%d defects", n)
			}
		})
	}
}

// responseHeader catches a response's headers.
type responseHeader struct {
	info   connect.CallInfo
	values http.Header
}

func (h *responseHeader) watch(ctx context.Context) context.Context {
	ctx, h.info = connect.NewClientContext(ctx)
	return ctx
}

func (h *responseHeader) get(name string) string {
	h.values = h.info.ResponseHeader()
	return h.values.Get(name)
}

func TestErrorsAreTypedOverConnect(t *testing.T) {
	t.Parallel()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.limits.refused = nil
			bad := prepareRequest()
			bad.AmountMinor, bad.Currency = 0, "dollars"
			foreign := prepareRequest()
			foreign.Context.MerchantId = "mer_z"
			large := prepareRequest()
			large.Currency = strings.Repeat("x", 1<<20)
			for _, c := range []struct {
				name string
				send sender
				req  *partnerv1.PrepareTopupRequest
				code connect.Code
				want string
			}{
				{"no credential", sender{key: uuid.NewString(), more: map[string]string{"Authorization": ""}}, bad, connect.CodeUnauthenticated, "UNAUTHENTICATED"},
				{"no key", sender{more: map[string]string{"Idempotency-Key": ""}}, bad, connect.CodeInvalidArgument, "IDEMPOTENCY_KEY_MISSING"},
				{"rules", sender{key: uuid.NewString()}, bad, connect.CodeInvalidArgument, "VALIDATION_FAILED"},
				{"merchant", sender{key: uuid.NewString()}, foreign, connect.CodePermissionDenied, "MERCHANT_NOT_AUTHORIZED"},
			} {
				_, err := b.topups(protocol, c.send).PrepareTopup(t.Context(), c.req)
				if connect.CodeOf(err) != c.code {
					t.Errorf("%s: %v, want %v", c.name, err, c.code)
					continue
				}
				if e := typed(t, err); e.GetCode() != c.want || c.name == "rules" && len(e.GetDetails()) != 2 {
					t.Errorf("%s: %v", c.name, e)
				}
			}
			if _, err := b.topups(protocol, sender{key: uuid.NewString()}).PrepareTopup(t.Context(), large); connect.CodeOf(err) != connect.CodeResourceExhausted {
				t.Errorf("large: %v", err)
			}
			refund := partnerv1connect.NewPaymentsServiceClient(b.server.Client(), b.server.URL)
			if _, err := refund.RefundCreate(t.Context(), &partnerv1.RefundCreateRequest{}); connect.CodeOf(err) != connect.CodeUnimplemented || typed(t, err).GetCode() != "NOT_IMPLEMENTED" {
				t.Errorf("planned: %v", err)
			}
		})
	}
}

func TestADeclineOverConnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.prepare = func(context.Context, *app.Call, int64) (prepared, error) {
		e := fault.New(fault.CodeInsufficientFunds, "short")
		e.TraceID, e.Recovery = "dt_7", &fault.Recovery{ShortfallMinor: 5}
		return prepared{}, e
	}
	key := uuid.NewString()
	for _, replayed := range []string{"", "true"} {
		_, err := b.topups("connect proto", sender{key: key}).PrepareTopup(t.Context(), prepareRequest())
		var e *connect.Error
		if !errors.As(err, &e) || e.Code() != connect.CodeFailedPrecondition || e.Meta().Get("Feddi-Decision-Trace-Id") != "dt_7" || e.Meta().Get("Idempotency-Replayed") != replayed {
			t.Fatalf("%v %v", err, e.Meta())
		}
		if published := typed(t, err); published.GetRecovery().GetShortfallMinor() != 5 || !published.GetRetryable() {
			t.Errorf("%v", published)
		}
	}
}

// JSON over Connect is protojson, strict about names.
func TestConnectJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	post := func(procedure, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+procedure, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer token-a")
		req.Header.Set("Idempotency-Key", uuid.NewString())
		res, err := b.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	camel := `{"meta":{"apiVersion":"2026-06-01"},"context":{"merchantId":"mer_a"},"customerId":"cus_1","amountMinor":"2500","currency":"USD"}`
	status, text := post(partnerv1connect.TopupServicePrepareTopupProcedure, camel)
	var res partnerv1.PrepareTopupResponse
	if err := protojson.Unmarshal([]byte(text), &res); status != 200 || err != nil || res.GetAmountMinor() != 2500 || !strings.Contains(text, `"2500"`) {
		t.Errorf("%d %s %v", status, text, err)
	}
	status, text = post(partnerv1connect.TopupServicePrepareTopupProcedure, strings.Replace(camel, `"currency"`, `"colour":1,"currency"`, 1))
	if status != 400 || !strings.Contains(text, "colour") || !strings.Contains(text, "VALIDATION_FAILED") {
		t.Errorf("%d %s", status, text)
	}
	status, text = post("/feddi.partner.v1.TopupService/Nothing", `{}`)
	if status != 404 || !strings.Contains(text, "not_found") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := post("/feddi.partner.v1.PlatformService/GetHealth", ``); status != 200 {
		t.Errorf("an empty body is an empty message: %d", status)
	}
}

func TestMalformedProtobuf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+partnerv1connect.TopupServiceGetTopupProcedure, bytes.NewReader([]byte{0xff, 0xff}))
	req.Header.Set("Content-Type", "application/proto")
	req.Header.Set("Authorization", "Bearer token-a")
	res, err := b.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "not a feddi.partner.v1.GetTopupRequest") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}
