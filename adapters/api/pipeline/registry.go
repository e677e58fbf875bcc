package pipeline

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/tenancy"
)

// Registry binds operations to the functions that answer them. Register
// everything first, serve afterwards.
type Registry struct {
	catalogue *operation.Catalogue
	mode      tenancy.Mode
	handlers  map[string]*Handler // by procedure
	errs      []error
}

// NewRegistry returns an empty registry for a server of mode.
func NewRegistry(c *operation.Catalogue, mode tenancy.Mode) *Registry {
	return &Registry{catalogue: c, mode: mode, handlers: map[string]*Handler{}}
}

// Handler answers one operation; its types are erased so that both doors can
// serve every operation alike.
type Handler struct {
	Op          *operation.Operation
	NewRequest  func() proto.Message
	NewResponse func() proto.Message
	// Representations are the media types beside application/json, by name.
	Representations map[string]Render

	invoke      func(ctx context.Context, call *app.Call, req proto.Message) (proto.Message, error)
	searched    bool
	anyMerchant bool
}

// Render writes a response as another media type than JSON.
type Render func(ctx context.Context, call *app.Call, res proto.Message) ([]byte, error)

// Option changes how one operation is served.
type Option func(*Handler)

// Unsearched leaves the look-up of the Idempotency-Key to the use case, which
// finds it in the statement that does the work and returns *app.Replay. For
// the payment path, where a round trip counts.
func Unsearched() Option { return func(h *Handler) { h.searched = false } }

// AnyMerchant lets a credential of several merchants (or of none yet) call
// without naming one; call.Tenant.MerchantID is then empty. For what belongs to
// the partner: keys, capabilities.
func AnyMerchant() Option { return func(h *Handler) { h.anyMerchant = true } }

// Represented offers the response as mediaType too (for example
// "application/pdf"), chosen by the Accept header on REST.
func Represented[Res any, P message[Res]](mediaType string, render func(ctx context.Context, call *app.Call, res *Res) ([]byte, error)) Option {
	return func(h *Handler) {
		if h.Representations == nil {
			h.Representations = map[string]Render{}
		}
		h.Representations[mediaType] = func(ctx context.Context, call *app.Call, res proto.Message) ([]byte, error) {
			typed, ok := res.(P)
			if !ok {
				return nil, fmt.Errorf("%s: cannot render %T as %s", h.Op.ID, res, mediaType)
			}
			return render(ctx, call, (*Res)(typed))
		}
	}
}

// message is a generated message type: *T is a proto.Message.
type message[T any] interface {
	*T
	proto.Message
}

// Handle registers fn as the answer to procedure, a constant of the generated
// connect package. Mistakes (an unknown or planned procedure, other message
// types, a second registration) are kept and reported by Err.
func Handle[Req, Res any, PReq message[Req], PRes message[Res]](r *Registry, procedure string, fn func(ctx context.Context, call *app.Call, req *Req) (*Res, error), options ...Option) {
	h := &Handler{
		NewRequest:  func() proto.Message { return PReq(new(Req)) },
		NewResponse: func() proto.Message { return PRes(new(Res)) },
		searched:    true,
		invoke: func(ctx context.Context, call *app.Call, req proto.Message) (proto.Message, error) {
			res, err := fn(ctx, call, (*Req)(req.(PReq)))
			if err != nil {
				return nil, err
			}
			if res == nil {
				return nil, errors.New("the handler gave neither a response nor an error")
			}
			return PRes(res), nil
		},
	}
	r.errs = append(r.errs, r.add(procedure, h))
	for _, o := range options {
		o(h)
	}
}

func (r *Registry) add(procedure string, h *Handler) error {
	h.Op = r.catalogue.Procedure(procedure)
	switch {
	case h.Op == nil || h.Op.Procedure != procedure: // a stream is answered by its operation's handler
		return fmt.Errorf("no operation has the procedure %s", procedure)
	case h.Op.Planned():
		return fmt.Errorf("%s has a handler but is planned in the contract", h.Op.ID)
	case r.handlers[procedure] != nil:
		return fmt.Errorf("%s has two handlers", h.Op.ID)
	case h.NewRequest().ProtoReflect().Descriptor().FullName() != h.Op.Input.FullName():
		return fmt.Errorf("%s takes %s", h.Op.ID, h.Op.Input.FullName())
	case h.NewResponse().ProtoReflect().Descriptor().FullName() != h.Op.Output.FullName():
		return fmt.Errorf("%s answers %s", h.Op.ID, h.Op.Output.FullName())
	}
	r.handlers[procedure] = h
	return nil
}

// Err reports every mistake made while registering.
func (r *Registry) Err() error { return errors.Join(r.errs...) }

// Catalogue is the surface the registry serves.
func (r *Registry) Catalogue() *operation.Catalogue { return r.catalogue }

// Mode is the mode of the server.
func (r *Registry) Mode() tenancy.Mode { return r.mode }

// Handler returns what answers o, or nil where o is not mounted here.
func (r *Registry) Handler(o *operation.Operation) *Handler {
	if !o.MountedIn(r.mode) {
		return nil
	}
	return r.handlers[o.Procedure]
}

// Operations are the mounted operations, in the order of the contract: what
// GET /capabilities lists.
func (r *Registry) Operations() []*operation.Operation {
	var out []*operation.Operation
	for _, o := range r.catalogue.All {
		if r.Handler(o) != nil {
			out = append(out, o)
		}
	}
	return out
}

// Missing lists the operations that the contract calls callable but nobody
// registered.
func (r *Registry) Missing() []string {
	var out []string
	for _, o := range r.catalogue.All {
		if !o.Planned() && r.handlers[o.Procedure] == nil {
			out = append(out, o.ID)
		}
	}
	return out
}
