// Package operation reads the published operations from the contracts: one
// Operation per RPC that carries the feddi.options.v1.operation option. The
// doors, the OpenAPI document and GET /capabilities all work from these
// values, so none of them can drift from the others.
package operation

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// Operation is one RPC as an operation of a published surface. Immutable.
type Operation struct {
	// ID is the operation id, for example "paymentAuthorize".
	ID string
	// Procedure is the Connect path, for example
	// "/feddi.partner.v1.PaymentsService/PaymentAuthorize".
	Procedure string
	// Service is the short name of the RPC's service, for example "PaymentsService".
	Service string
	// Method is the HTTP method on REST.
	Method string
	// Path is the REST path below the surface's base, with the request's field
	// names as variables, for example "/auth/keys/{key_id}".
	Path string
	// Segments is Path cut at its slashes.
	Segments []Segment
	// Body is the bytes field that takes the request's body as it came; nil where
	// the body is the message as JSON, or there is none.
	Body protoreflect.FieldDescriptor
	// Options is what the contract says beyond the HTTP rule.
	Options *optionsv1.Operation
	// Stream is the RPC that streams the operation over Connect; nil where none does.
	Stream *Stream
	// RPC, Input and Output are the descriptors.
	RPC    protoreflect.MethodDescriptor
	Input  protoreflect.MessageDescriptor
	Output protoreflect.MessageDescriptor
}

// Segment is one part of a path: a literal, or a variable that fills Field.
type Segment struct {
	Literal string
	Field   protoreflect.FieldDescriptor // nil for a literal
}

// Status is the HTTP status of an ordinary success.
func (o *Operation) Status() int {
	if s := int(o.Options.GetSuccessStatus()); s != 0 {
		return s
	}
	return http.StatusOK
}

// Statuses are all success statuses the operation may answer with, the
// ordinary one first.
func (o *Operation) Statuses() []int {
	out := []int{o.Status()}
	for _, s := range o.Options.GetOtherSuccess() {
		out = append(out, int(s))
	}
	return out
}

// Planned reports whether only the shape is reserved: the operation is not
// mounted and answers NOT_IMPLEMENTED.
func (o *Operation) Planned() bool {
	return o.Options.GetMaturity() == optionsv1.Maturity_MATURITY_PLANNED
}

// Maturity is "planned", "beta" or "ga".
func (o *Operation) Maturity() string {
	return strings.ToLower(strings.TrimPrefix(o.Options.GetMaturity().String(), "MATURITY_"))
}

// Public reports whether no credential is needed.
func (o *Operation) Public() bool { return len(o.Options.GetAuth()) == 0 }

// Takes reports whether a credential of kind c may call the operation.
func (o *Operation) Takes(c optionsv1.Credential) bool {
	return slices.Contains(o.Options.GetAuth(), c)
}

// Signed reports whether the caller proves itself with a signature over the
// body, which the handler verifies, instead of a credential.
func (o *Operation) Signed() bool {
	return o.Takes(optionsv1.Credential_CREDENTIAL_PROVIDER_SIGNATURE)
}

// MountedIn reports whether a server of mode serves the operation.
func (o *Operation) MountedIn(mode tenancy.Mode) bool {
	return !o.Options.GetSandboxOnly() || mode == tenancy.Sandbox
}

// TTL is how long a stored answer lives; 0 means the default.
func (o *Operation) TTL() time.Duration {
	return time.Duration(o.Options.GetIdempotencyTtlSeconds()) * time.Second
}

// Needs says which credential is needed, as GET /capabilities names it: "none",
// "key", "terminal", "key|terminal", "platform_key", "operator_key" or
// "provider_signature".
func (o *Operation) Needs() string {
	if o.Public() {
		return "none"
	}
	var kinds []string
	for _, c := range o.Options.GetAuth() {
		switch c {
		case optionsv1.Credential_CREDENTIAL_KEY:
			kinds = append(kinds, o.keyKind())
		case optionsv1.Credential_CREDENTIAL_TERMINAL:
			kinds = append(kinds, "terminal")
		case optionsv1.Credential_CREDENTIAL_PROVIDER_SIGNATURE:
			kinds = append(kinds, "provider_signature")
		}
	}
	slices.Sort(kinds)
	return strings.Join(kinds, "|")
}

func (o *Operation) keyKind() string {
	switch {
	case o.Options.GetPlatformScope():
		return "platform_key"
	case o.Options.GetOperator():
		return "operator_key"
	}
	return "key"
}

// PublicPath is Path as it is published, with camel-case variables, for
// example "/auth/keys/{keyId}".
func (o *Operation) PublicPath() string {
	var b strings.Builder
	for _, s := range o.Segments {
		b.WriteByte('/')
		if s.Field == nil {
			b.WriteString(s.Literal)
			continue
		}
		b.WriteString("{" + s.Field.JSONName() + "}")
	}
	return b.String()
}

// InPath reports whether f is filled from the path.
func (o *Operation) InPath(f protoreflect.FieldDescriptor) bool {
	return slices.ContainsFunc(o.Segments, func(s Segment) bool { return s.Field != nil && s.Field.Number() == f.Number() })
}

// procedureOf is the Connect path of an RPC.
func procedureOf(rpc protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("/%s/%s", rpc.Parent().FullName(), rpc.Name())
}

// Read makes the Operation of an RPC. It returns nil for an RPC without the
// option, and an error where the contract contradicts itself.
func Read(rpc protoreflect.MethodDescriptor) (*Operation, error) {
	options, _ := proto.GetExtension(rpc.Options(), optionsv1.E_Operation).(*optionsv1.Operation)
	if options == nil {
		return nil, nil
	}
	o := &Operation{
		ID:        options.GetId(),
		Procedure: procedureOf(rpc),
		Service:   string(rpc.Parent().Name()),
		Options:   options,
		RPC:       rpc,
		Input:     rpc.Input(),
		Output:    rpc.Output(),
	}
	rule, _ := proto.GetExtension(rpc.Options(), annotations.E_Http).(*annotations.HttpRule)
	if o.Method, o.Path = verb(rule); o.Method == "" {
		return nil, fmt.Errorf("%s: no google.api.http rule", rpc.FullName())
	}
	return o, o.check(rule)
}

func verb(rule *annotations.HttpRule) (method, path string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	}
	return "", ""
}

func (o *Operation) check(rule *annotations.HttpRule) error {
	name := string(o.RPC.Name())
	if want := strings.ToLower(name[:1]) + name[1:]; o.ID != want {
		return fmt.Errorf("%s: operation id %q, want %q", o.Procedure, o.ID, want)
	}
	if !strings.HasSuffix(o.Service, "Service") {
		return fmt.Errorf("%s: the service's name does not end in Service", o.Procedure)
	}
	if o.RPC.IsStreamingServer() || o.RPC.IsStreamingClient() {
		return fmt.Errorf("%s: an operation takes one message and answers one; stream it by an RPC of its own", o.Procedure)
	}
	for _, code := range o.Options.GetErrors() {
		if !fault.Code(code).Known() {
			return fmt.Errorf("%s: unknown error code %s", o.Procedure, code)
		}
	}
	if o.Options.GetMaturity() == optionsv1.Maturity_MATURITY_UNSPECIFIED {
		return fmt.Errorf("%s: no maturity", o.Procedure)
	}
	if hasBody := o.Method != http.MethodGet; hasBody != (rule.GetBody() != "") {
		return fmt.Errorf("%s: %s with body %q", o.Procedure, o.Method, rule.GetBody())
	}
	if body := rule.GetBody(); body != "" && body != "*" {
		if o.Body = o.Input.Fields().ByName(protoreflect.Name(body)); o.Body == nil || o.Body.Kind() != protoreflect.BytesKind {
			return fmt.Errorf("%s: body %q is no bytes field of %s", o.Procedure, body, o.Input.FullName())
		}
	}
	return o.cut()
}

// cut fills Segments from Path.
func (o *Operation) cut() error {
	if !strings.HasPrefix(o.Path, "/") {
		return fmt.Errorf("%s: path %q does not start with a slash", o.Procedure, o.Path)
	}
	for part := range strings.SplitSeq(o.Path[1:], "/") {
		if part == "" {
			return fmt.Errorf("%s: path %q has an empty segment", o.Procedure, o.Path)
		}
		variable, isVariable := strings.CutPrefix(part, "{")
		if !isVariable {
			o.Segments = append(o.Segments, Segment{Literal: part})
			continue
		}
		field := o.Input.Fields().ByName(protoreflect.Name(strings.TrimSuffix(variable, "}")))
		if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
			return fmt.Errorf("%s: path variable %s is no string field of %s", o.Procedure, part, o.Input.FullName())
		}
		o.Segments = append(o.Segments, Segment{Field: field})
	}
	return nil
}
