package pipeline

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// withRequestMeta is a request that opens with meta.
type withRequestMeta interface {
	GetMeta() *partnerv1.RequestMeta
}

// maxRequestID is how many characters the contract allows a request id.
const maxRequestID = 128

// checkMeta settles the request id and the contract version.
func (p *Pipeline) checkMeta(x *Exchange, req proto.Message) error {
	carrier, ok := req.(withRequestMeta)
	if !ok {
		return p.version(x, x.Header.Get(HeaderVersion), HeaderVersion)
	}
	if id := carrier.GetMeta().GetRequestId(); id != "" && utf8.RuneCountInString(id) <= maxRequestID {
		x.Call.RequestID = id
	}
	return p.version(x, carrier.GetMeta().GetApiVersion(), "meta.api_version")
}

func (p *Pipeline) version(x *Exchange, asked, field string) error {
	if asked == "" {
		return nil
	}
	if !slices.Contains(p.Versions, asked) {
		return fault.Field(fault.CodeUnsupportedAPIVersion, field, "supported",
			"this server speaks %s; set %s to one of them", strings.Join(p.Versions, ", "), field)
	}
	x.Call.APIVersion = asked
	return nil
}

// validate applies the contract's field rules and names every field at fault.
func (p *Pipeline) validate(req proto.Message) error {
	details := p.metaRules(req)
	var broken *protovalidate.ValidationError
	err := p.validator.Validate(req)
	if err != nil && !errors.As(err, &broken) {
		return fault.Internal(err)
	}
	if broken != nil {
		for _, v := range broken.Violations {
			details = append(details, fault.Detail{
				Field:   protovalidate.FieldPathString(v.Proto.GetField()),
				Rule:    v.Proto.GetRuleId(),
				Message: v.Proto.GetMessage(),
			})
		}
	}
	if len(details) == 0 {
		return nil
	}
	return fault.Invalid(details)
}

// metaRules are the rules of meta that the contract's annotations cannot say.
func (p *Pipeline) metaRules(req proto.Message) []fault.Detail {
	carrier, ok := req.(withRequestMeta)
	if !ok || carrier.GetMeta() == nil {
		return nil // a missing meta is one of the annotated rules
	}
	var details []fault.Detail
	meta := carrier.GetMeta()
	if meta.GetApiVersion() == "" {
		details = append(details, fault.Detail{Field: "meta.api_version", Rule: "required",
			Message: "say which contract version you build against, for example " + p.Versions[0]})
	}
	if meta.IdempotencyKey != nil && meta.GetIdempotencyKey() == "" { // any other value breaks an annotated rule
		details = append(details, fault.Detail{Field: "meta.idempotency_key", Rule: "idempotency_key_in_header",
			Message: "the idempotency key belongs in the Idempotency-Key header, never in the body"})
	}
	return details
}
