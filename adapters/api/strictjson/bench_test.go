package strictjson

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// BenchmarkPayment is the JSON of a payment: its request read, its answer written.
func BenchmarkPayment(b *testing.B) {
	text := []byte(`{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a","branch_id":"brn_1","terminal_id":"trm_1","cashier_id":"c-17"},` +
		`"session_id":"cs_01ka2m8x4wj2r4t6v8x0z2b4d6","amount_minor":1175,"currency":"USD","credential":{"credential_type":"qr","value":"nonce-1234567890"}}`)
	b.Run("decode", func(b *testing.B) {
		plan := planFor(b, &partnerv1.PaymentAuthorizeRequest{})
		b.ReportAllocs()
		for b.Loop() {
			if err := plan.Decode(text, (&partnerv1.PaymentAuthorizeRequest{}).ProtoReflect()); err != nil {
				b.Fatal(err)
			}
		}
	})
	answer := &partnerv1.PaymentAuthorizeResponse{
		PaymentId: "pay_01ka2m8x4wj2r4t6v8x0z2b4d6", Status: "succeeded", AmountMinor: 1175, DebitedPromoMinor: 250, DebitedActualMinor: 925, Currency: "USD",
		SessionId: proto.String("cs_01ka2m8x4wj2r4t6v8x0z2b4d6"), CustomerId: "cus_01ka2m8x4wj2r4t6v8x0z2b4d6", CredentialType: "qr",
		PromoSources: []*partnerv1.PromoSource{{GrantId: "grt_01ka2m8x4wj2r4t6v8x0z2b4d6", AmountMinor: 250}},
		Balance:      &partnerv1.Balance{ActualMinor: 1575, Currency: "USD"}, CreatedAt: timestamppb.Now(),
	}
	b.Run("append", func(b *testing.B) {
		plan := planFor(b, answer)
		var out []byte
		b.ReportAllocs()
		for b.Loop() {
			out, _ = plan.Append(out[:0], answer, "meta")
		}
	})
	b.Run("append wire", func(b *testing.B) {
		plan := planFor(b, answer)
		wire, _ := proto.Marshal(answer)
		var out []byte
		b.ReportAllocs()
		for b.Loop() {
			out = plan.AppendWire(out[:0], wire, "meta")
		}
	})
}
