// Package rpc is the Connect door: the same operations over Connect, gRPC and
// gRPC-Web, as binary protobuf or as protojson. It decodes a message, hands it
// to the pipeline, and answers with the response or with an error that carries
// one detail, feddi.partner.v1.Error. Operations that the contract streams are
// served as streams beside.
package rpc

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/fault"
)

// MaxBody is the largest message accepted, in bytes.
const MaxBody = 1 << 20

// prefixed is what gRPC adds in front of a message.
const prefixed = 5

// Door serves the procedures of one surface. Safe for concurrent use.
type Door struct {
	pipeline *pipeline.Pipeline
	headers  func(http.Header, *pipeline.Answer)
	handlers map[string]http.Handler
	errors   *connect.ErrorWriter
}

// New serves every registered operation of p at its procedure. headers sets an
// answer's headers, the same as on REST.
func New(p *pipeline.Pipeline, headers func(http.Header, *pipeline.Answer)) *Door {
	d := &Door{pipeline: p, headers: headers, handlers: map[string]http.Handler{}, errors: connect.NewErrorWriter()}
	for _, op := range p.Registry.Operations() {
		options := d.options(p.Registry.Handler(op))
		d.handlers[op.Procedure] = connect.NewUnaryHandler(op.Procedure, d.serve, options)
		if op.Stream != nil {
			d.handlers[op.Stream.Procedure] = connect.NewServerStreamHandler(op.Stream.Procedure, d.stream, options)
		}
	}
	return d
}

func (d *Door) options(h *pipeline.Handler) connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithRequestGate(func(ctx context.Context, _ connect.Spec, peer connect.Peer, header http.Header) (context.Context, error) {
			return d.begin(ctx, h, header, peer.Addr)
		}),
		connect.WithCodec(binary), connect.WithCodec(jsonText), connect.WithCodec(jsonUTF8),
		connect.WithReadMaxBytes(MaxBody),
		connect.WithCompressMinBytes(1<<10),
	)
}

// ServeHTTP implements http.Handler. Planned operations answer NOT_IMPLEMENTED
// and everything else that is not there NOT_FOUND, in the protocol of the caller.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := d.handlers[r.URL.Path]
	switch {
	case h == nil:
		d.refuse(w, r, d.absent(r.URL.Path))
	case r.ContentLength > MaxBody+prefixed:
		d.refuse(w, r, fault.New(fault.CodeBodyTooLarge, "the message is larger than %d bytes; send less at once", MaxBody))
	default:
		ctx, cancel := d.pipeline.Timed(r.Context())
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	}
}

func (d *Door) absent(procedure string) *fault.Error {
	op := d.pipeline.Registry.Catalogue().Procedure(procedure)
	if op != nil && op.MountedIn(d.pipeline.Registry.Mode()) {
		return fault.New(fault.CodeNotImplemented, "%s is planned and not callable yet; getCapabilities lists what is", op.ID)
	}
	return fault.Field(fault.CodeNotFound, "procedure", "exists", "there is no such procedure: %s", strings.TrimPrefix(procedure, "/"))
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, e *fault.Error) {
	_ = d.errors.Write(w, r, d.failure(d.pipeline.Refuse(r.Context(), e))) // the caller is gone where this fails
}

type exchangeKey struct{}

// begin runs before the message is read.
func (d *Door) begin(ctx context.Context, h *pipeline.Handler, header http.Header, peer string) (context.Context, error) {
	x, err := d.pipeline.Begin(ctx, h, header, peer)
	if err != nil {
		return nil, d.failure(d.pipeline.Fail(ctx, x, err))
	}
	return context.WithValue(ctx, exchangeKey{}, x), nil
}

func (d *Door) serve(ctx context.Context, in *connect.Request[inbound]) (*connect.Response[outbound], error) {
	x, req, err := d.decode(ctx, in.Msg)
	if err != nil {
		return nil, err
	}
	a := d.pipeline.Invoke(ctx, x, req)
	if a.Message == nil {
		return nil, d.failure(a)
	}
	res := connect.NewResponse(&outbound{a.Message})
	d.headers(res.Header(), a)
	return res, nil
}

// stream is serve for an operation's stream. A failure ends it, whether there
// were messages before or not.
func (d *Door) stream(ctx context.Context, in *connect.Request[inbound], out *connect.ServerStream[outbound]) error {
	x, req, err := d.decode(ctx, in.Msg)
	if err != nil {
		return err
	}
	send := func(step *pipeline.Answer) error {
		d.headers(out.ResponseHeader(), step) // counts before the first message
		return out.Send(&outbound{step.Message})
	}
	a := d.pipeline.Stream(ctx, x, req, send)
	if a.Message == nil {
		return d.failure(a)
	}
	return send(a)
}

// decode reads the message of the call that begin opened.
func (d *Door) decode(ctx context.Context, in *inbound) (*pipeline.Exchange, proto.Message, error) {
	x, ok := ctx.Value(exchangeKey{}).(*pipeline.Exchange)
	if !ok {
		return nil, nil, connect.NewError(connect.CodeInternal, errors.New("the call was not opened"))
	}
	x.Body = in.wire
	req := x.Handler.NewRequest()
	if err := in.decode(req); err != nil {
		return nil, nil, d.failure(d.pipeline.Fail(ctx, x, err))
	}
	return x, req, nil
}

// failure is an answer without a message as an error of Connect.
func (d *Door) failure(a *pipeline.Answer) *connect.Error {
	e := connect.NewError(codeOf(a.Status), errors.New(a.Error.GetMessage()))
	if detail, err := connect.NewErrorDetail(a.Error); err == nil {
		e.AddDetail(detail)
	}
	d.headers(e.Meta(), a)
	if trace := a.Meta.GetDecisionTraceId(); trace != "" {
		e.Meta().Set(pipeline.HeaderTraceID, trace)
	}
	return e
}

// codeOf is the Connect code that stands for a status on REST.
func codeOf(status int) connect.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return connect.CodeInvalidArgument
	case http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusPaymentRequired, http.StatusGone, http.StatusUnprocessableEntity:
		return connect.CodeFailedPrecondition
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusNotFound:
		return connect.CodeNotFound
	case http.StatusConflict:
		return connect.CodeAborted
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
		return connect.CodeResourceExhausted
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return connect.CodeUnimplemented
	case http.StatusServiceUnavailable:
		return connect.CodeUnavailable
	case http.StatusGatewayTimeout:
		return connect.CodeDeadlineExceeded
	}
	return connect.CodeInternal
}
