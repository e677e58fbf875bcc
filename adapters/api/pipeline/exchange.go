package pipeline

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"

	"google.golang.org/protobuf/proto"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Exchange is one call on its way through the pipeline, from its headers to
// its answer.
type Exchange struct {
	Call    app.Call
	Handler *Handler
	// Header, Body and RemoteAddr are what came over the wire; Body is what the
	// door decoded. For handlers that verify a signature.
	Header     http.Header
	Body       []byte
	RemoteAddr string

	pipeline *Pipeline
	began    time.Time
	key      string // the Idempotency-Key, lower case; empty where none is needed
	pinned   atomic.Bool
	wire     []byte // of the response that was pinned
	steps    *steps // of a stream; nil where the answer is all that is sent
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *Exchange {
	x, _ := ctx.Value(exchangeKey{}).(*Exchange)
	return x
}

// Wire returns the exchange that a handler is answering, for the few that need
// the headers, the body as it came or the caller's address. nil outside of one.
func Wire(ctx context.Context) *Exchange { return exchangeOf(ctx) }

// Answer is what a door writes: a response message or an error, with the meta
// that goes with it.
type Answer struct {
	// Status is the HTTP status on REST.
	Status int
	// Message is the response; nil for a failure.
	Message proto.Message
	// Wire is Message in its wire form, where it had to be written already; its
	// meta may be older than Meta.
	Wire []byte
	// Fault is the failure, nil for a success. Error is its published form.
	Fault *fault.Error
	Error *partnerv1.Error
	// Meta is never nil.
	Meta *partnerv1.ResponseMeta
}

// withMeta is a response that carries meta.
type withMeta interface {
	GetMeta() *partnerv1.ResponseMeta
}

// finish completes the meta of a response (for a surface that has it) and
// returns it.
func (x *Exchange) finish(res proto.Message) *partnerv1.ResponseMeta {
	carrier, ok := res.(withMeta)
	if !ok {
		return x.meta()
	}
	meta := carrier.GetMeta()
	if meta == nil {
		m := res.ProtoReflect()
		meta = m.Mutable(m.Descriptor().Fields().ByName("meta")).Message().Interface().(*partnerv1.ResponseMeta)
	}
	meta.ApiVersion, meta.RequestId = x.Call.APIVersion, x.Call.RequestID
	return meta
}

// meta is the meta of an answer that has no response.
func (x *Exchange) meta() *partnerv1.ResponseMeta {
	return &partnerv1.ResponseMeta{ApiVersion: x.Call.APIVersion, RequestId: x.Call.RequestID}
}
