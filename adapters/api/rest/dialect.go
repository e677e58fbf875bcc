package rest

import (
	"net/http"
	"strconv"

	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/api/strictjson"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Dialect is all that one REST surface decides about its answers: the shape
// around a result and around a failure, and the headers beside them.
type Dialect interface {
	// Append writes the body of an answer behind dst. plan is the plan of
	// a.Message's type, nil where there is no message. It fails where a message
	// cannot be written.
	Append(dst []byte, a *pipeline.Answer, plan *strictjson.Plan) ([]byte, error)
	// Header sets the answer's headers other than its content type.
	Header(h http.Header, a *pipeline.Answer)
}

// Feddi is the dialect of the partner surface: every answer is
// {ok, data, error, meta}.
type Feddi struct {
	meta, failure *strictjson.Plan
}

// NewFeddi makes the dialect.
func NewFeddi(plans *strictjson.Plans) (*Feddi, error) {
	meta, err := plans.Of((*partnerv1.ResponseMeta)(nil).ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	failure, err := plans.Of((*partnerv1.Error)(nil).ProtoReflect().Descriptor())
	return &Feddi{meta: meta, failure: failure}, err
}

// Append implements Dialect. A health report that is a failure too has both
// data and error.
func (f *Feddi) Append(dst []byte, a *pipeline.Answer, plan *strictjson.Plan) (_ []byte, err error) {
	dst = append(dst, `{"ok":`...)
	dst = strconv.AppendBool(dst, a.Error == nil)
	dst = append(dst, `,"data":`...)
	switch {
	case a.Wire != nil:
		dst = plan.AppendWire(dst, a.Wire, "meta")
	case a.Message != nil:
		if dst, err = plan.Append(dst, a.Message, "meta"); err != nil {
			return dst, err
		}
	default:
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"error":`...)
	if a.Error == nil {
		dst = append(dst, "null"...)
	} else if dst, err = f.failure.Append(dst, a.Error, ""); err != nil {
		return dst, err
	}
	dst = append(dst, `,"meta":`...)
	if dst, err = f.meta.Append(dst, a.Meta, ""); err != nil {
		return dst, err
	}
	return append(dst, "}\n"...), nil
}

// Header implements Dialect.
func (f *Feddi) Header(h http.Header, a *pipeline.Answer) { SetHeaders(h, a) }

// SetHeaders sets what every Feddi answer carries on either door:
// X-Request-Id, Idempotency-Replayed on a replay, Retry-After where waiting
// helps.
func SetHeaders(h http.Header, a *pipeline.Answer) {
	if id := a.Meta.GetRequestId(); printable(id) { // the caller may have chosen it
		h[pipeline.HeaderRequestID] = []string{id}
	}
	if a.Meta.GetIdempotencyReplayed() {
		h[pipeline.HeaderReplayed] = []string{"true"}
	}
	if a.Fault != nil {
		if seconds := pipeline.RetryAfter(a.Fault); seconds > 0 {
			h["Retry-After"] = []string{strconv.Itoa(seconds)}
		}
	}
}

// printable reports whether text can stand in a header as it is.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}
