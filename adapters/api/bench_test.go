package api_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// BenchmarkPayment is what the doors cost a payment: match, authenticate,
// limit, decode, validate, hash, encode for the store, encode for the caller.
// The use case itself does nothing.
func BenchmarkPayment(b *testing.B) {
	c, err := api.Catalogue()
	if err != nil {
		b.Fatal(err)
	}
	reg := pipeline.NewRegistry(c, tenancy.Sandbox)
	trace := "dt_01ka2m8x4wj2r4t6v8x0z2b4d6"
	session := "cs_01ka2m8x4wj2r4t6v8x0z2b4d6"
	pipeline.Handle(reg, partnerv1connect.PaymentsServicePaymentAuthorizeProcedure,
		func(ctx context.Context, call *app.Call, req *partnerv1.PaymentAuthorizeRequest) (*partnerv1.PaymentAuthorizeResponse, error) {
			return pipeline.Run(ctx, call, func(_ context.Context, call *app.Call, in int64) (int64, error) {
				_, err := call.Pin.Encode(in, nil)
				return in, err
			}, req.GetAmountMinor(), func(_ *app.Call, amount int64) *partnerv1.PaymentAuthorizeResponse {
				return &partnerv1.PaymentAuthorizeResponse{
					PaymentId: "pay_01ka2m8x4wj2r4t6v8x0z2b4d6", Status: "succeeded", AmountMinor: amount, DebitedPromoMinor: 250, DebitedActualMinor: 925,
					Currency: "USD", SessionId: &session, CustomerId: "cus_01ka2m8x4wj2r4t6v8x0z2b4d6", CredentialType: "qr",
					PromoSources: []*partnerv1.PromoSource{{GrantId: "grt_01ka2m8x4wj2r4t6v8x0z2b4d6", AmountMinor: 250}},
					Balance:      &partnerv1.Balance{ActualMinor: 1575, Currency: "USD"}, CreatedAt: timestamppb.New(epoch),
					Meta: &partnerv1.ResponseMeta{DecisionTraceId: &trace},
				}
			})
		}, pipeline.Unsearched())
	manual := clock.NewManual(epoch)
	server, err := api.New(pipeline.Config{
		Registry: reg, Auth: authenticator{}, Limits: open{}, Places: places{}, Replays: &replays{records: map[idempotency.Scope]idempotency.Record{}},
		Clock: manual, IDs: ids.New(manual), Versions: pipeline.Versions, ServerKey: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a","branch_id":"brn_1","terminal_id":"trm_1","cashier_id":"c-17"},` +
		`"session_id":"cs_01ka2m8x4wj2r4t6v8x0z2b4d6","amount_minor":1175,"currency":"USD","credential":{"credential_type":"qr","value":"nonce-1234567890"}}`)
	key := uuid.NewString()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/v1/partner/payments", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer token-a")
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		w := &sink{header: http.Header{}}
		server.ServeHTTP(w, req)
		if w.status != http.StatusCreated {
			b.Fatal(w.status)
		}
	}
}

// open lets every call pass.
type open struct{}

func (open) Allow(string) (bool, time.Duration) { return true, 0 }

type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return io.Discard.Write(p) }
