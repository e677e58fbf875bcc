package api_test

import (
	"slices"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// byHand are members in which somebody writes in their own words, or a person's
// own data. Of an offer, a terminal or a subscription they tell of nobody.
var byHand = []protoreflect.Name{
	"reason", "note", "description", "evidence", "text", "attributes", "data", "decision_reason", "email", "phone", "birth_date",
}

// ofNobody are operations whose words are about things (offers, endpoints), or
// are a reason out of the contract's list.
var ofNobody = []string{
	"createOffer", "updateOffer", "setOfferStatus", "evaluateOffers", "updateSubscription", "abandonCheckoutSession", "reverseTopup",
}

// An answer that repeats what was written by hand is stored sealed: an erasure
// does not look for people in stored answers.
func TestStoredAnswersHoldNobodysWordsInTheClear(t *testing.T) {
	t.Parallel()
	seen, sealed := 0, 0
	files := []protoreflect.FileDescriptor{
		partnerv1.File_feddi_partner_v1_auth_service_proto, partnerv1.File_feddi_partner_v1_checkout_session_service_proto,
		partnerv1.File_feddi_partner_v1_customers_service_proto, partnerv1.File_feddi_partner_v1_enrollment_service_proto,
		partnerv1.File_feddi_partner_v1_incentives_service_proto, partnerv1.File_feddi_partner_v1_payments_service_proto,
		partnerv1.File_feddi_partner_v1_platform_service_proto, partnerv1.File_feddi_partner_v1_topup_service_proto,
		partnerv1.File_feddi_partner_v1_transactions_service_proto, partnerv1.File_feddi_partner_v1_webhooks_service_proto,
	}
	for _, file := range files {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			op, _ := proto.GetExtension(methods.Get(i).Options(), optionsv1.E_Operation).(*optionsv1.Operation)
			if !op.GetIdempotent() {
				continue
			}
			seen++
			words := wordsIn(methods.Get(i).Output(), nil)
			switch {
			case op.GetSecretResponse():
				sealed++
			case len(words) > 0 && !slices.Contains(ofNobody, op.GetId()):
				t.Errorf("%s stores %v in the clear; set secret_response", op.GetId(), words)
			}
		}
	}
	if seen < 60 || sealed < 15 {
		t.Errorf("%d operations were looked at, %d are sealed", seen, sealed)
	}
}

// wordsIn lists the members of an answer that hold words, but for those of one of
// a list of values.
func wordsIn(m protoreflect.MessageDescriptor, above []protoreflect.FullName) (found []protoreflect.FullName) {
	if slices.Contains(above, m.FullName()) || m.FullName() == "google.protobuf.Struct" {
		return nil
	}
	above = append(above, m.FullName())
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		field, _ := proto.GetExtension(f.Options(), optionsv1.E_Field).(*optionsv1.Field)
		rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
		listed := len(field.GetValues()) > 0 || len(rules.GetString().GetIn()) > 0
		if slices.Contains(byHand, f.Name()) && !listed {
			found = append(found, f.FullName())
		}
		if f.Message() != nil && !f.IsMap() {
			found = append(found, wordsIn(f.Message(), above)...)
		}
	}
	return found
}
