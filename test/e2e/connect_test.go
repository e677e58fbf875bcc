package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// protocol is a way into the Connect door.
type protocol struct {
	name    string
	options []connect.ClientOption
	h2c     bool
}

var protocols = []protocol{
	{name: "connect binary"},
	{name: "connect JSON", options: []connect.ClientOption{connect.WithProtoJSON()}},
	{name: "gRPC over h2c", options: []connect.ClientOption{connect.WithGRPC()}, h2c: true},
	{name: "gRPC-Web", options: []connect.ClientOption{connect.WithGRPCWeb()}},
}

// h2c speaks HTTP/2 without TLS, as gRPC clients inside a network do.
func h2c() *http.Client {
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	return &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: only}}
}

// headers puts a credential and an Idempotency-Key on every call.
type headers struct {
	as  credential
	key string // empty for a new one each time
}

// WrapUnary implements connect.Interceptor.
func (h *headers) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		h.put(req.Header())
		return next(ctx, req)
	}
}

func (h *headers) put(header http.Header) {
	header.Set("Idempotency-Key", h.key)
	if h.key == "" {
		header.Set("Idempotency-Key", uuid.NewString())
	}
	if h.as.name != "" {
		header.Set(h.as.name, h.as.value)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (h *headers) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		h.put(conn.RequestHeader())
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (*headers) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// clients are the generated clients with one caller's headers.
type clients struct {
	platform     partnerv1connect.PlatformServiceClient
	auth         partnerv1connect.AuthServiceClient
	checkout     partnerv1connect.CheckoutSessionServiceClient
	customers    partnerv1connect.CustomersServiceClient
	enrollment   partnerv1connect.EnrollmentServiceClient
	incentives   partnerv1connect.IncentivesServiceClient
	payments     partnerv1connect.PaymentsServiceClient
	topup        partnerv1connect.TopupServiceClient
	transactions partnerv1connect.TransactionsServiceClient
}

func (p protocol) clients(h *headers) clients { return p.clientsOn(system.server.URL, h) }

func (p protocol) clientsOn(url string, h *headers) clients {
	client := plain
	if p.h2c {
		client = h2c()
	}
	options := append([]connect.ClientOption{connect.WithInterceptors(h)}, p.options...)
	return clients{
		platform:     partnerv1connect.NewPlatformServiceClient(client, url, options...),
		auth:         partnerv1connect.NewAuthServiceClient(client, url, options...),
		checkout:     partnerv1connect.NewCheckoutSessionServiceClient(client, url, options...),
		customers:    partnerv1connect.NewCustomersServiceClient(client, url, options...),
		enrollment:   partnerv1connect.NewEnrollmentServiceClient(client, url, options...),
		incentives:   partnerv1connect.NewIncentivesServiceClient(client, url, options...),
		payments:     partnerv1connect.NewPaymentsServiceClient(client, url, options...),
		topup:        partnerv1connect.NewTopupServiceClient(client, url, options...),
		transactions: partnerv1connect.NewTransactionsServiceClient(client, url, options...),
	}
}

// outcome is what one call gave over Connect: a message, or the one detail of
// its error.
type outcome struct {
	op      string
	message proto.Message
	failure *partnerv1.Error
}

// rpcWalk is the golden path over Connect.
type rpcWalk struct {
	t        *testing.T
	c        clients
	h        *headers
	where    *partnerv1.RequestContext
	outcomes []outcome
}

// call makes one call of a walk and keeps what it gave.
func call[Req, Res any, P interface {
	*Res
	proto.Message
}](w *rpcWalk, op string, rpc func(context.Context, *Req) (*Res, error), req *Req) *Res {
	w.t.Helper()
	res, err := rpc(w.t.Context(), req)
	if err != nil {
		if op != "paymentAuthorize" { // the one that is refused on the way
			w.t.Fatalf("%s: %v", op, err)
		}
		w.outcomes = append(w.outcomes, outcome{op: op, failure: w.detail(op, err)})
		return nil
	}
	w.outcomes = append(w.outcomes, outcome{op: op, message: P(res)})
	return res
}

// detail is the contract's error inside an error of Connect.
func (w *rpcWalk) detail(op string, err error) *partnerv1.Error {
	w.t.Helper()
	found, wrong := detailOf(err)
	if wrong != nil {
		w.t.Fatalf("%s: %v", op, wrong)
	}
	return found
}

func detailOf(err error) (*partnerv1.Error, error) {
	var failed *connect.Error
	if !errors.As(err, &failed) || len(failed.Details()) != 1 {
		return nil, fmt.Errorf("not an error with one detail: %w", err)
	}
	value, wrong := failed.Details()[0].Value()
	if wrong != nil {
		return nil, wrong
	}
	found, ok := value.(*partnerv1.Error)
	if !ok {
		return nil, fmt.Errorf("the detail is a %T", value)
	}
	return found, nil
}

func rpcMeta() *partnerv1.RequestMeta { return &partnerv1.RequestMeta{ApiVersion: version} }

// walkOver walks the golden path over one protocol.
func walkOver(t *testing.T, p protocol) []outcome {
	t.Helper()
	w := &rpcWalk{t: t, h: &headers{}}
	w.c = p.clients(w.h)
	made := call(w, "createSandboxCredentials", w.c.auth.CreateSandboxCredentials, &partnerv1.CreateSandboxCredentialsRequest{Meta: rpcMeta(), Currency: proto.String("USD")})
	w.h.as = credential{"X-Api-Key", made.GetRawKey()}
	w.where = &partnerv1.RequestContext{
		MerchantId: made.GetMerchantId(), BranchId: proto.String(made.GetBranchId()), TerminalId: proto.String(made.GetTerminalId()),
		CashierId: proto.String("c-17"), Locale: proto.String("en-US"),
	}
	token := call(w, "exchangeTerminalToken", w.c.auth.ExchangeTerminalToken, &partnerv1.ExchangeTerminalTokenRequest{Meta: rpcMeta(), Context: w.where, TerminalId: made.GetTerminalId()})
	w.h.as = credential{"Authorization", "Bearer " + token.GetToken()}
	session, customer := w.hello()
	w.ringUp(session)
	payment := w.pay(session, customer)
	closed := call(w, "closeCheckoutSession", w.c.checkout.CloseCheckoutSession, &partnerv1.CloseCheckoutSessionRequest{
		Meta: rpcMeta(), Context: w.where, Id: session,
		Tenders: []*partnerv1.Tender{{Type: "wallet", AmountMinor: 1175, PaymentId: proto.String(payment)}},
	})
	w.balance(customer)
	id := closed.GetTransaction().GetTransactionId()
	call(w, "getTransaction", w.c.transactions.GetTransaction, &partnerv1.GetTransactionRequest{IntegrationId: made.GetIntegrationId(), TransactionId: id})
	call(w, "getReceipt", w.c.transactions.GetReceipt, &partnerv1.GetReceiptRequest{TransactionId: id})
	call(w, "lookupCustomer", w.c.customers.LookupCustomer, &partnerv1.LookupCustomerRequest{Phone: proto.String("+14155550123")})
	return w.outcomes
}

func (w *rpcWalk) balance(customer string) {
	w.t.Helper()
	call(w, "getWalletBalance", w.c.topup.GetWalletBalance, &partnerv1.GetWalletBalanceRequest{CustomerId: customer})
}

func (w *rpcWalk) hello() (session, customer string) {
	w.t.Helper()
	opened := call(w, "openCheckoutSession", w.c.checkout.OpenCheckoutSession, &partnerv1.OpenCheckoutSessionRequest{
		Meta: rpcMeta(), Context: w.where, Currency: "USD", Channel: proto.String("in_store"),
	})
	session = opened.GetSession().GetSessionId()
	begun := call(w, "initiateEnrollment", w.c.enrollment.InitiateEnrollment, &partnerv1.InitiateEnrollmentRequest{
		Meta: rpcMeta(), Context: w.where, Phone: "+14155550123", SessionId: proto.String(session),
	})
	customer = begun.GetCustomerId()
	call(w, "verifyEnrollment", w.c.enrollment.VerifyEnrollment, &partnerv1.VerifyEnrollmentRequest{
		Meta: rpcMeta(), Context: w.where, EnrollmentId: proto.String(begun.GetEnrollmentId()), Code: proto.String(begun.GetSandbox().GetCode()),
	})
	call(w, "identifyCheckoutSession", w.c.checkout.IdentifyCheckoutSession, &partnerv1.IdentifyCheckoutSessionRequest{
		Meta: rpcMeta(), Context: w.where, Id: session, Credential: &partnerv1.Credential{CredentialType: "phone", Value: "+14155550123"},
	})
	w.balance(customer)
	return session, customer
}

func (w *rpcWalk) ringUp(session string) {
	w.t.Helper()
	call(w, "reviseBasket", w.c.checkout.ReviseBasket, &partnerv1.ReviseBasketRequest{
		Meta: rpcMeta(), Context: w.where, Id: session, ExpectedRevision: proto.Int32(0),
		Lines: []*partnerv1.BasketLine{
			{LineId: "1", Sku: "LATTE", Name: proto.String("Caffe latte"), Category: proto.String("coffee"), Quantity: 2, UnitPriceMinor: 450},
			{LineId: "2", Sku: "CROISSANT", Category: proto.String("bakery"), Quantity: 1, UnitPriceMinor: 375},
		},
	})
	feed := call(w, "getSessionOffers", w.c.incentives.GetSessionOffers, &partnerv1.GetSessionOffersRequest{Id: session})
	call(w, "applyOffer", w.c.incentives.ApplyOffer, &partnerv1.ApplyOfferRequest{
		Meta: rpcMeta(), Context: w.where, OfferId: feed.GetOffers()[0].GetOfferId(), SessionId: session,
	})
}

func (w *rpcWalk) pay(session, customer string) (payment string) {
	w.t.Helper()
	minted := call(w, "qrMint", w.c.payments.QrMint, &partnerv1.QrMintRequest{Meta: rpcMeta(), Context: w.where, CustomerId: customer, Kind: proto.String("qr")})
	authorize := func() *partnerv1.PaymentAuthorizeResponse {
		return call(w, "paymentAuthorize", w.c.payments.PaymentAuthorize, &partnerv1.PaymentAuthorizeRequest{
			Meta: rpcMeta(), Context: w.where, SessionId: proto.String(session), AmountMinor: 1175, Currency: "USD", Credential: minted.GetCredential(),
		})
	}
	authorize()
	prepared := call(w, "prepareTopup", w.c.topup.PrepareTopup, &partnerv1.PrepareTopupRequest{
		Meta: rpcMeta(), Context: w.where, CustomerId: proto.String(customer), AmountMinor: 2500, Currency: "USD", SessionId: proto.String(session),
	})
	w.balance(customer)
	call(w, "confirmTopup", w.c.topup.ConfirmTopup, &partnerv1.ConfirmTopupRequest{
		Meta: rpcMeta(), Context: w.where, TopupId: prepared.GetTopupId(), ProviderSettlementReference: "pi_" + prepared.GetTopupId(),
	})
	payment = authorize().GetPaymentId()
	call(w, "getCheckoutSession", w.c.checkout.GetCheckoutSession, &partnerv1.GetCheckoutSessionRequest{Id: session})
	authorize()
	return payment
}

// The golden path over Connect gives, call by call, what it gives over REST:
// the same messages but for ids, times and secrets.
func TestGoldenPathOverConnect(t *testing.T) {
	t.Parallel()
	c := begin(t)
	c.walk()
	c.read("getTransaction", "/"+c.made.text("data.integration_id")+"/transactions/"+c.transaction)
	c.read("getReceipt", "/transactions/"+c.transaction+"/receipt")
	c.read("lookupCustomer", "/customers/lookup?phone=%2B14155550123")
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			got := walkOver(t, p)
			if len(got) != len(c.taken) {
				t.Fatalf("%d calls over Connect, %d over REST", len(got), len(c.taken))
			}
			for i, step := range c.taken {
				if got[i].op != step.op {
					t.Fatalf("call %d is %s over Connect, %s over REST", i, got[i].op, step.op)
				}
				compare(t, step, got[i])
			}
		})
	}
}

// compare holds an outcome over Connect to the answer over REST.
func compare(t *testing.T, step taken, got outcome) {
	t.Helper()
	var over, rest proto.Message = got.failure, &partnerv1.Error{}
	from := step.answer.at("error")
	if got.failure == nil {
		over, rest = got.message, got.message.ProtoReflect().New().Interface()
		data, _ := step.answer.at("data").(object)
		merged := object{"meta": step.answer.at("meta")}
		for name, value := range data {
			merged[name] = value
		}
		from = merged
	}
	raw, err := marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(raw, rest); err != nil {
		t.Fatalf("%s over REST is not its message: %v\n%s", step.op, err, raw)
	}
	over = proto.Clone(over)
	scrub(over.ProtoReflect())
	scrub(rest.ProtoReflect())
	// Offers withheld alike stand in the order of their ids, which chance makes.
	byReason := protocmp.SortRepeated(func(a, b *partnerv1.WithheldOffer) bool { return a.GetReason() < b.GetReason() })
	if diff := cmp.Diff(rest, over, protocmp.Transform(), byReason); diff != "" {
		t.Errorf("%s differs (- REST, + Connect):\n%s", step.op, diff)
	}
}

var anID = regexp.MustCompile(`_[0-7][0-9a-hjkmnp-tv-z]{25}`)

// secret fields hold what is random by design.
var secret = map[protoreflect.Name]bool{
	"raw_key": true, "prefix": true, "token": true, "code": true, "verification_token": true, "value": true, "svg": true, "receipt_number": true,
}

// scrub makes two runs of the same path comparable: ids keep their kind, times
// become none, secrets go.
func scrub(m protoreflect.Message) {
	if m.Descriptor().FullName() == "google.protobuf.Timestamp" {
		m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool { m.Clear(f); return true })
		return
	}
	isError := m.Descriptor().FullName() == "feddi.partner.v1.Error"
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				if f.MapValue().Message() != nil {
					scrub(v.Message())
				}
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				if f.Message() != nil {
					scrub(v.List().Get(i).Message())
				} else if f.Kind() == protoreflect.StringKind {
					v.List().Set(i, protoreflect.ValueOfString(scrubText(v.List().Get(i).String())))
				}
			}
		case f.Message() != nil:
			scrub(v.Message())
		case f.Kind() == protoreflect.StringKind && secret[f.Name()] && !isError:
			m.Set(f, protoreflect.ValueOfString("secret"))
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(scrubText(v.String())))
		}
		return true
	})
}

var aTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

func scrubText(text string) string {
	return aTime.ReplaceAllString(anID.ReplaceAllString(text, "_"), "time")
}

// REST and Connect share the scope of idempotency keys: a call made through
// one door is replayed through the other.
func TestDoorsShareIdempotencyKeys(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	where := &partnerv1.RequestContext{MerchantId: s.made.text("data.merchant_id"), CashierId: proto.String("c-17")}
	s.where = object{"merchant_id": s.made.text("data.merchant_id"), "cashier_id": "c-17"}
	h := &headers{as: s.till}
	for _, p := range protocols {
		c := p.clients(h)
		h.key = uuid.NewString()
		a := s.expect(s.do(request{path: "/topup/prepare", key: h.key, body: object{"customer_id": g.id, "amount_minor": 1500, "currency": "USD"}}), http.StatusCreated)
		req := &partnerv1.PrepareTopupRequest{Meta: rpcMeta(), Context: where, CustomerId: proto.String(g.id), AmountMinor: 1500, Currency: "USD"}
		res, err := c.topup.PrepareTopup(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if !res.GetMeta().GetIdempotencyReplayed() || res.GetTopupId() != a.text("data.topup_id") || res.GetMeta().GetRequestId() != a.text("meta.request_id") {
			t.Errorf("%s: %v\nis no replay of %s", p.name, res, a.Raw)
		}
		req.AmountMinor = 1501
		_, err = c.topup.PrepareTopup(t.Context(), req)
		if detail, wrong := detailOf(err); wrong != nil || detail.GetCode() != "IDEMPOTENCY_KEY_REUSED" {
			t.Errorf("%s with another payload: %v", p.name, err)
		}
		// And the other way: made over Connect, replayed over REST.
		h.key = uuid.NewString()
		if res, err = c.topup.PrepareTopup(t.Context(), req); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		a = s.expect(s.do(request{path: "/topup/prepare", key: h.key, body: object{"customer_id": g.id, "amount_minor": 1501, "currency": "USD"}}), http.StatusCreated)
		if replayed, _ := a.at("meta.idempotency_replayed").(bool); !replayed || a.text("data.topup_id") != res.GetTopupId() {
			t.Errorf("%s: %s\nis no replay of %v", p.name, a.Raw, res)
		}
	}
	s.is(s.balance(g), "balance", `{"pending_topups_minor":12004}`)
}

// Wrong calls are refused over every protocol with the codes of REST, each in
// the one detail of its error.
func TestBadCallsOverConnect(t *testing.T) {
	t.Parallel()
	s, foreign := stocked(t), stocked(t)
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			where := &partnerv1.RequestContext{MerchantId: s.ids["merchant"]}
			good := func() *partnerv1.PrepareTopupRequest {
				return &partnerv1.PrepareTopupRequest{Meta: rpcMeta(), Context: where, CustomerId: proto.String(s.guest.id), AmountMinor: 5, Currency: "USD"}
			}
			for _, c := range []struct {
				what   string
				h      headers
				spoil  func(r *partnerv1.PrepareTopupRequest)
				status connect.Code
				code   string
				field  string
			}{
				{"nobody", headers{}, nil, connect.CodeUnauthenticated, "UNAUTHENTICATED", ""},
				{"a token that is none", headers{as: credential{"Authorization", "Bearer x"}}, nil, connect.CodeUnauthenticated, "UNAUTHENTICATED", ""},
				{"a key that is no UUID", headers{as: s.till, key: "x"}, nil, connect.CodeInvalidArgument, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key"},
				{"no meta", headers{as: s.till}, func(r *partnerv1.PrepareTopupRequest) { r.Meta = nil }, connect.CodeInvalidArgument, "VALIDATION_FAILED", "meta"},
				{"another version", headers{as: s.till}, func(r *partnerv1.PrepareTopupRequest) { r.Meta.ApiVersion = "2020-01-01" }, connect.CodeInvalidArgument, "UNSUPPORTED_API_VERSION", "meta.api_version"},
				{"no amount", headers{as: s.till}, func(r *partnerv1.PrepareTopupRequest) { r.AmountMinor = 0 }, connect.CodeInvalidArgument, "VALIDATION_FAILED", "amount_minor"},
				{"another's merchant", headers{as: s.till}, func(r *partnerv1.PrepareTopupRequest) {
					r.Context = &partnerv1.RequestContext{MerchantId: foreign.ids["merchant"]}
				}, connect.CodePermissionDenied, "MERCHANT_NOT_AUTHORIZED", "context.merchant_id"},
				{"another's customer", headers{as: s.till}, func(r *partnerv1.PrepareTopupRequest) { r.CustomerId = proto.String(foreign.guest.id) }, connect.CodeNotFound, "NOT_FOUND", "customer"},
				{"another currency", headers{as: s.till}, func(r *partnerv1.PrepareTopupRequest) { r.Currency = "ZZZ" }, connect.CodeInvalidArgument, "UNSUPPORTED_CURRENCY", "currency"},
			} {
				req := good()
				if c.spoil != nil {
					c.spoil(req)
				}
				_, err := p.clients(&c.h).topup.PrepareTopup(t.Context(), req)
				detail, wrong := detailOf(err)
				if wrong != nil || connect.CodeOf(err) != c.status || detail.GetCode() != c.code {
					t.Errorf("%s: %v %v %v", c.what, err, detail, wrong)
				} else if c.field != "" && detail.GetDetails()[0].GetField() != c.field {
					t.Errorf("%s: the refusal names %v", c.what, detail.GetDetails())
				}
			}
		})
	}
}

// A decline is an outcome too, and replays through the other door with its
// recovery and its trace.
func TestDeclinesReplayThroughTheOtherDoor(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	qr := s.mint(g, "qr")
	s.where = object{"merchant_id": s.made.text("data.merchant_id")}
	key := uuid.NewString()
	a := s.refused(s.do(request{path: "/payments", key: key, body: object{"amount_minor": 500, "currency": "USD", "credential": qr}}), http.StatusPaymentRequired, "INSUFFICIENT_FUNDS")
	for _, p := range protocols {
		value, _ := qr["value"].(string)
		_, err := p.clients(&headers{as: s.till, key: key}).payments.PaymentAuthorize(t.Context(), &partnerv1.PaymentAuthorizeRequest{
			Meta: rpcMeta(), Context: &partnerv1.RequestContext{MerchantId: s.made.text("data.merchant_id")},
			AmountMinor: 500, Currency: "USD", Credential: &partnerv1.Credential{CredentialType: "qr", Value: value},
		})
		var failed *connect.Error
		if !errors.As(err, &failed) || failed.Code() != connect.CodeFailedPrecondition || failed.Meta().Get("Idempotency-Replayed") != "true" ||
			failed.Meta().Get("Feddi-Decision-Trace-Id") != a.text("meta.decision_trace_id") {
			t.Errorf("%s: %v %v", p.name, err, failed.Meta())
			continue
		}
		detail, wrong := detailOf(err)
		if wrong != nil || detail.GetCode() != "INSUFFICIENT_FUNDS" || detail.GetRecovery().GetShortfallMinor() != 500 || len(detail.GetRecovery().GetOptions()) == 0 {
			t.Errorf("%s: %v %v", p.name, detail, wrong)
		}
	}
	log := s.events()
	failed := 0
	for _, e := range log {
		if kind, _ := e.(object)["type"].(string); kind == "payment.failed" {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d payment.failed events, want 1", failed)
	}
}
