// Package rest is the REST door: it finds the operation of a path, reads path,
// query and JSON body into the request message, hands it to the pipeline, and
// writes the answer in the surface's dialect.
package rest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/adapters/api/strictjson"
	"github.com/feddi/feddi/core/fault"
)

// MaxBody is the largest body accepted, in bytes.
const MaxBody = 1 << 20

// Mount serves one surface. Safe for concurrent use.
type Mount struct {
	base     string
	dialect  Dialect
	pipeline *pipeline.Pipeline
	matcher  matcher
	buffers  sync.Pool
}

// route is one operation on REST.
type route struct {
	op      *operation.Operation
	handler *pipeline.Handler // nil where the operation is not served
	request *strictjson.Plan  // of the body, without what the path fills
	answer  *strictjson.Plan
	query   map[string]protoreflect.FieldDescriptor
	media   []string     // in the order of preference
	raw     http.Handler // serves the operation as it is, without the pipeline
}

// New mounts every operation of the pipeline's catalogue below base (for
// example "/v1/partner"). Planned operations, and callable ones that nobody
// registered, answer NOT_IMPLEMENTED. Those of raw, by operation id, are
// served by their own http.Handler.
func New(base string, d Dialect, p *pipeline.Pipeline, plans *strictjson.Plans, raw map[string]http.Handler) (*Mount, error) {
	m := &Mount{base: base, dialect: d, pipeline: p}
	m.buffers.New = func() any { b := make([]byte, 0, 4096); return &b }
	for _, op := range p.Registry.Catalogue().All {
		if !op.MountedIn(p.Registry.Mode()) {
			continue
		}
		r, err := m.route(op, plans)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op.ID, err)
		}
		r.raw = raw[op.ID]
		m.matcher.add(r)
	}
	return m, nil
}

func (m *Mount) route(op *operation.Operation, plans *strictjson.Plans) (*route, error) {
	request, err := plans.Of(op.Input)
	if err != nil {
		return nil, err
	}
	answer, err := plans.Of(op.Output)
	if err != nil {
		return nil, err
	}
	r := &route{op: op, handler: m.pipeline.Registry.Handler(op), answer: answer, query: map[string]protoreflect.FieldDescriptor{}}
	var inPath []string
	for _, s := range op.Segments {
		if s.Field != nil {
			inPath = append(inPath, string(s.Field.Name()))
		}
	}
	r.request = request.Without(inPath...)
	if op.Method == http.MethodGet {
		for i := range op.Input.Fields().Len() {
			if f := op.Input.Fields().Get(i); !op.InPath(f) {
				r.query[string(f.Name())] = f
			}
		}
	}
	if r.handler != nil {
		for media := range r.handler.Representations {
			r.media = append(r.media, media)
		}
		slices.Sort(r.media)
		r.media = append([]string{jsonType}, r.media...)
	}
	return r, nil
}

const jsonType = "application/json"

// ServeHTTP implements http.Handler.
func (m *Mount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, below := strings.CutPrefix(r.URL.EscapedPath(), m.base)
	var routes map[string]*route
	var segments []string
	if below {
		routes, segments = m.matcher.match(path)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	found := routes[method]
	switch {
	case routes == nil:
		m.refuse(w, r, fault.Field(fault.CodeNotFound, "route", "exists", "there is no such path; GET %s/openapi lists those there are", m.base))
	case found == nil:
		w.Header().Set("Allow", allowed(routes))
		m.refuse(w, r, fault.New(fault.CodeMethodNotAllowed, "this path takes %s", allowed(routes)))
	case found.raw != nil:
		found.raw.ServeHTTP(w, r)
	case found.handler == nil:
		m.refuse(w, r, fault.New(fault.CodeNotImplemented, "%s is planned and not callable yet; GET %s/capabilities lists what is", found.op.ID, m.base))
	default:
		m.serve(w, r, found, segments)
	}
}

// refuse answers what does not become a call.
func (m *Mount) refuse(w http.ResponseWriter, r *http.Request, e *fault.Error) {
	m.write(w, r, m.pipeline.Refuse(r.Context(), e), nil)
}

func (m *Mount) serve(w http.ResponseWriter, r *http.Request, found *route, segments []string) {
	if r.ContentLength > MaxBody {
		m.refuse(w, r, tooLarge())
		return
	}
	ctx, cancel := m.pipeline.Timed(r.Context())
	defer cancel()
	x, err := m.pipeline.Begin(ctx, found.handler, r.Header, r.RemoteAddr)
	if err != nil {
		m.write(w, r, m.pipeline.Fail(ctx, x, err), found)
		return
	}
	req := found.handler.NewRequest()
	if err := read(w, r, found, segments, x, req.ProtoReflect()); err != nil {
		m.write(w, r, m.pipeline.Fail(ctx, x, err), found)
		return
	}
	media, err := found.accepted(r.Header.Values("Accept"))
	if err != nil {
		m.write(w, r, m.pipeline.Fail(ctx, x, err), found)
		return
	}
	a := m.pipeline.Invoke(ctx, x, req)
	if media != jsonType && a.Error == nil {
		m.represent(w, r.WithContext(ctx), x, a, found, media)
		return
	}
	m.write(w, r, a, found)
}

func tooLarge() *fault.Error {
	return fault.New(fault.CodeBodyTooLarge, "the body is larger than %d bytes; send less at once", MaxBody)
}

// read fills the request from path, query and body.
func read(w http.ResponseWriter, r *http.Request, found *route, segments []string, x *pipeline.Exchange, req protoreflect.Message) error {
	found.fromPath(segments, req)
	if err := found.fromQuery(r.URL.RawQuery, req); err != nil {
		return err
	}
	if found.op.Method == http.MethodGet {
		return nil
	}
	if found.op.Body == nil {
		if err := checkContentType(r); err != nil {
			return err
		}
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	x.Body = body
	if found.op.Body != nil {
		req.Set(found.op.Body, protoreflect.ValueOfBytes(body))
		return nil
	}
	return found.request.Decode(body, req)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > 0 { // no more than MaxBody, and no more comes
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, unreadable(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, unreadable(err)
	}
	return body, nil
}

func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge()
	}
	return fault.Field(fault.CodeValidationFailed, "", "body", "the body ended before it was complete")
}

func checkContentType(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil // the decoder says that a body is missing
	}
	header := r.Header.Get("Content-Type")
	if header == jsonType && r.Header.Get("Content-Encoding") == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(header)
	charset := params["charset"]
	if err != nil || media != jsonType || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault.Field(fault.CodeUnsupportedMediaType, "Content-Type", jsonType, "send the body as application/json")
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fault.Field(fault.CodeUnsupportedMediaType, "Content-Encoding", "identity", "send the body without compression")
	}
	return nil
}

// write sends an answer in the surface's dialect.
func (m *Mount) write(w http.ResponseWriter, r *http.Request, a *pipeline.Answer, found *route) {
	var plan *strictjson.Plan
	if found != nil {
		plan = found.answer
	}
	buffer := m.buffers.Get().(*[]byte)
	body, err := m.dialect.Append((*buffer)[:0], a, plan)
	if err != nil {
		a = m.unwritable(r, a, err)
		body, _ = m.dialect.Append(body[:0], a, nil) // all that an internal error says is ours
	}
	m.dialect.Header(w.Header(), a)
	send(w, a.Status, jsonHeader, body)
	if cap(body) <= 64<<10 {
		*buffer = body
		m.buffers.Put(buffer)
	}
}

// unwritable is the answer in place of one that breaks the contract.
func (m *Mount) unwritable(r *http.Request, a *pipeline.Answer, cause error) *pipeline.Answer {
	id := a.Meta.GetRequestId()
	failure := m.pipeline.Refuse(r.Context(), fault.Internal(fmt.Errorf("the answer to request %q cannot be written: %w", id, cause)))
	failure.Meta.RequestId = id
	return failure
}

// What every answer says, or nearly every one. The header map copies them.
var (
	jsonHeader = []string{jsonType}
	noStore    = []string{"no-store"}
)

func send(w http.ResponseWriter, status int, media []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = media
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = noStore
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone where this fails
}

// represent sends an answer in another form than JSON.
func (m *Mount) represent(w http.ResponseWriter, r *http.Request, x *pipeline.Exchange, a *pipeline.Answer, found *route, media string) {
	body, err := found.handler.Representations[media](r.Context(), &x.Call, a.Message)
	if err != nil {
		m.write(w, r, m.pipeline.Fail(r.Context(), x, err), found)
		return
	}
	m.dialect.Header(w.Header(), a)
	if strings.HasPrefix(media, "text/") {
		media += "; charset=utf-8"
	}
	w.Header().Set("Vary", "Accept")
	send(w, a.Status, []string{media}, body)
}
