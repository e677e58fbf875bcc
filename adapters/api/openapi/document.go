// Package openapi writes the OpenAPI 3.1 document of a surface from the
// descriptors that serve its traffic, their rules, options and comments.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/core/fault"

	optionsv1 "github.com/feddi/feddi/contracts/gen/feddi/options/v1"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Source is what a document is made from.
type Source struct {
	Title       string
	Description string
	// Version is the contract version.
	Version string
	// Server is the URL that the paths are below, for example "/v1/partner".
	Server string
	// Operations are the operations to describe, in order.
	Operations []*operation.Operation
	Comments   Comments
	// Media are the media types that an operation answers with beside JSON, by
	// operation id.
	Media map[string][]string
}

// Write returns the document as indented JSON. The same source always gives
// the same bytes.
func Write(src Source) ([]byte, error) {
	w := &writer{Source: src, named: map[fault.Code]bool{}, schemas: schemas{comments: src.Comments, done: map[string]bool{}}}
	var requests, responses []protoreflect.MessageDescriptor
	for _, o := range src.Operations {
		requests, responses = append(requests, o.Input), append(responses, o.Output)
	}
	w.schemas.both = sentAndAnswered(requests, responses)
	tags, paths, schemas := w.tags(), w.paths(), w.components()
	slices.SortFunc(w.failures, func(a, b member) int { return strings.Compare(a.name, b.name) })
	document := object{
		{"openapi", "3.1.0"},
		{"info", object{{"title", src.Title}, {"version", src.Version}, {"description", src.Description}}},
		{"servers", []object{{{"url", src.Server}}}},
		{"tags", tags},
		{"paths", paths},
		{"components", object{
			{"securitySchemes", securitySchemes},
			{"parameters", w.parameters()},
			{"headers", headers},
			{"responses", w.failures},
			{"examples", w.failureExamples()},
			{"schemas", schemas},
		}},
	}
	if w.err != nil {
		return nil, w.err
	}
	compact, err := marshal(document)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

type writer struct {
	Source
	schemas  schemas
	failures object // responses by status and codes, each written once
	named    map[fault.Code]bool
	err      error
}

func (w *writer) tags() []object {
	var out []object
	var seen []string
	for _, o := range w.Operations {
		if slices.Contains(seen, o.Domain()) {
			continue
		}
		seen = append(seen, o.Domain())
		out = append(out, object{{"name", o.Domain()}}.maybe("description", w.Comments[string(o.RPC.Parent().FullName())]))
	}
	return out
}

func (w *writer) paths() object {
	out := object{}
	for _, o := range w.Operations {
		path, verb := o.PublicPath(), strings.ToLower(o.Method)
		at := slices.IndexFunc(out, func(m member) bool { return m.name == path })
		if at < 0 {
			at = len(out)
			out = out.with(path, object{})
		}
		out[at].value = out[at].value.(object).with(verb, w.operation(o))
	}
	return out
}

func (w *writer) operation(o *operation.Operation) object {
	out := object{
		{"operationId", o.ID},
		{"tags", []string{o.Domain()}},
		{"summary", o.Options.GetSummary()},
	}.maybe("description", w.Comments[string(o.RPC.FullName())])
	if p := w.operationParameters(o); len(p) > 0 {
		out = out.with("parameters", p)
	}
	if o.Method != http.MethodGet {
		out = out.with("requestBody", w.requestBody(o))
	}
	out = out.with("responses", w.responses(o)).with("security", security(o)).with("x-maturity", o.Maturity())
	out = out.with("x-error-codes", o.Codes())
	for _, flag := range []struct {
		name string
		on   bool
	}{
		{"x-operator", o.Options.GetOperator()}, {"x-platform-scope", o.Options.GetPlatformScope()},
		{"x-sandbox-only", o.Options.GetSandboxOnly()}, {"x-decision-trace", o.Options.GetDecisionTrace()},
	} {
		if flag.on {
			out = out.with(flag.name, true)
		}
	}
	if o.Stream != nil {
		out = out.with("x-stream", o.Stream.Procedure)
	}
	return out
}

var securitySchemes = object{
	{"ApiKeyAuth", object{{"type", "apiKey"}, {"in", "header"}, {"name", "x-api-key"},
		{"description", "An integration key (fddi_...). Shown once when it is made; only its hash is kept."}}},
	{"PosTerminalJWT", object{{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"},
		{"description", "A terminal token of POST /auth/token, good for 600 seconds. Where both credentials are sent, the token counts."}}},
}

func security(o *operation.Operation) []object {
	out := []object{}
	if o.Takes(optionsv1.Credential_CREDENTIAL_TERMINAL) {
		out = append(out, object{{"PosTerminalJWT", []string{}}})
	}
	if o.Takes(optionsv1.Credential_CREDENTIAL_KEY) {
		out = append(out, object{{"ApiKeyAuth", []string{}}})
	}
	return out
}

// parameters are the headers that operations share.
func (w *writer) parameters() object {
	return object{
		{"IdempotencyKey", object{
			{"name", "Idempotency-Key"}, {"in", "header"}, {"required", true},
			{"description", "A fresh UUID for each operation, the same one for each retry of it. Repeating a call with its key changes nothing and answers the same, for 24 hours."},
			{"schema", object{{"type", "string"}, {"format", "uuid"}}},
			{"example", "7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11"},
		}},
		{"ApiVersion", object{
			{"name", "Feddi-Api-Version"}, {"in", "header"}, {"required", false},
			{"description", "The contract version the caller builds against; the current one when left out."},
			{"schema", object{{"type", "string"}}},
			{"example", w.Version},
		}},
	}
}

var headers = object{
	{"RequestId", object{{"description", "The id of this request; quote it to the operator."}, {"schema", object{{"type", "string"}}}}},
	{"IdempotencyReplayed", object{{"description", "true where this is the stored answer of an earlier call with the same Idempotency-Key."}, {"schema", object{{"type", "boolean"}}}}},
	{"RetryAfter", object{{"description", "Seconds to wait before the next try."}, {"schema", object{{"type", "integer"}, {"minimum", 1}}}}},
	{"ETag", object{{"description", "Changes with the document; send it back in If-None-Match."}, {"schema", object{{"type", "string"}}}}},
}

func headerRef(name string) object { return object{{"$ref", "#/components/headers/" + name}} }

func (w *writer) operationParameters(o *operation.Operation) []object {
	var out []object
	for _, s := range o.Segments {
		if s.Field != nil {
			out = append(out, object{{"name", s.Field.JSONName()}, {"in", "path"}, {"required", true}}.
				maybe("description", w.Comments[string(s.Field.FullName())]).
				with("schema", w.schemas.one(s.Field, fieldRules(s.Field), fieldOptions(s.Field), sent)))
		}
	}
	if o.Method == http.MethodGet {
		for i := range o.Input.Fields().Len() {
			if f := o.Input.Fields().Get(i); !o.InPath(f) {
				out = append(out, w.queryParameter(f))
			}
		}
		if !o.Public() {
			out = append(out, object{{"$ref", "#/components/parameters/ApiVersion"}})
		}
	}
	if o.Options.GetIdempotent() {
		out = append(out, object{{"$ref", "#/components/parameters/IdempotencyKey"}})
	}
	return out
}

func (w *writer) queryParameter(f protoreflect.FieldDescriptor) object {
	var schema object
	if f.IsList() {
		schema = w.schemas.array(f, fieldRules(f), fieldOptions(f), sent)
	} else {
		schema = w.schemas.one(f, fieldRules(f), fieldOptions(f), sent)
	}
	return object{{"name", string(f.Name())}, {"in", "query"}, {"required", mustSend(f)}}.
		maybe("description", w.Comments[string(f.FullName())]).with("schema", schema)
}

func (w *writer) requestBody(o *operation.Operation) object {
	if o.Body != nil {
		return object{{"required", true}, {"description", w.Comments[string(o.Body.FullName())]},
			{"content", object{{"application/json", w.exampled(o, object{{"schema", object{}}})}}}}
	}
	name := w.schemas.name(o.Input, sent)
	if !w.schemas.done[name] {
		w.schemas.done[name] = true
		at := len(w.schemas.list)
		w.schemas.list = append(w.schemas.list, member{name: name})
		w.schemas.list[at].value = w.schemas.message(o.Input, sent, o.InPath)
	}
	media := w.exampled(o, object{{"schema", reference(name)}})
	return object{{"required", true}, {"content", object{{"application/json", media}}}}
}

// exampled is a request's media with the contract's example, where it has one.
func (w *writer) exampled(o *operation.Operation, media object) object {
	if example := o.Options.GetExampleRequest(); example != "" {
		return media.with("example", w.example(o, "request", example))
	}
	return media
}

// example is JSON text of the contract; text that is none fails the document.
func (w *writer) example(o *operation.Operation, what, text string) rawJSON {
	if !json.Valid([]byte(text)) && w.err == nil {
		w.err = fmt.Errorf("%s: its example %s is not JSON: %s", o.ID, what, text)
	}
	return rawJSON(text)
}

func (w *writer) responses(o *operation.Operation) object {
	out := object{}
	for i, status := range o.Statuses() {
		out = out.with(strconv.Itoa(status), w.success(o, status, i == 0))
	}
	byStatus := map[int][]fault.Code{}
	for _, code := range o.Codes() {
		status := fault.MeaningOf(code).Status
		byStatus[status] = append(byStatus[status], code)
	}
	for status := 400; status < 600; status++ {
		if codes := byStatus[status]; codes != nil {
			out = out.with(strconv.Itoa(status), w.failure(status, codes))
		}
	}
	return out
}

func (w *writer) success(o *operation.Operation, status int, ordinary bool) object {
	if o.Options.GetRaw() {
		return object{{"description", "The document itself, without envelope."}, {"headers", object{{"ETag", headerRef("ETag")}}},
			{"content", object{{"application/json", object{{"schema", object{{"type", "object"}}}}}}}}
	}
	media := object{{"schema", reference(w.envelope(o))}}
	if example := o.Options.GetExampleResponse(); example != "" && ordinary {
		media = media.with("example", w.successExample(o, example))
	}
	content := object{{"application/json", media}}
	for _, other := range w.Media[o.ID] {
		kind := object{{"type", "string"}}
		if !strings.HasPrefix(other, "text/") {
			kind = object{}
		}
		content = content.with(other, object{{"schema", kind}})
	}
	description := w.schemas.about(o.Output)
	if description == "" {
		description = http.StatusText(status)
	}
	shown := object{{"X-Request-Id", headerRef("RequestId")}}
	if o.Options.GetIdempotent() {
		shown = shown.with("Idempotency-Replayed", headerRef("IdempotencyReplayed"))
	}
	return object{{"description", description}, {"headers", shown}, {"content", content}}
}

// successExample puts the contract's example of the data into the envelope.
func (w *writer) successExample(o *operation.Operation, data string) object {
	meta := object{{"api_version", w.Version}, {"request_id", "req_01ka2m8x4vq3t5n7c9d1f3h5k7"}, {"idempotency_replayed", false}}
	if o.Options.GetDecisionTrace() {
		meta = meta.with("decision_trace_id", "dt_01ka2m8x4wj2r4t6v8x0z2b4d6")
	}
	return object{{"ok", true}, {"data", w.example(o, "response", data)}, {"error", nil}, {"meta", meta}}
}

// envelope makes the schemas of an operation's data and of the envelope around it.
func (w *writer) envelope(o *operation.Operation) string {
	name := string(o.Output.Name())
	if w.schemas.done[name] {
		return name
	}
	data := strings.TrimSuffix(name, "Response") + "Data"
	w.schemas.add(name, object{
		{"type", "object"},
		{"description", "The envelope of a success; what the operation gives is in data."},
		{"properties", object{
			{"ok", object{{"const", true}, {"description", "Whether the call succeeded."}}},
			{"data", reference(data)},
			{"error", object{{"type", "null"}}},
			{"meta", w.schemas.ref((*partnerv1.ResponseMeta)(nil).ProtoReflect().Descriptor(), answered)},
		}},
		{"required", []string{"ok", "data", "error", "meta"}},
	})
	w.schemas.add(data, w.schemas.message(o.Output, answered, func(f protoreflect.FieldDescriptor) bool { return f.Name() == "meta" }))
	return name
}

// failure refers to the response of a status with exactly these codes.
func (w *writer) failure(status int, codes []fault.Code) object {
	name := strconv.Itoa(status)
	lines := []string{}
	for _, code := range codes {
		name += "." + string(code)
		lines = append(lines, codeLine(string(code), fault.MeaningOf(code).What))
	}
	if !slices.ContainsFunc(w.failures, func(m member) bool { return m.name == name }) {
		w.failures = w.failures.with(name, w.failureResponse(status, codes, lines))
	}
	return object{{"$ref", "#/components/responses/" + name}}
}

func (w *writer) failureResponse(status int, codes []fault.Code, lines []string) object {
	shown := object{{"X-Request-Id", headerRef("RequestId")}}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		shown = shown.with("Retry-After", headerRef("RetryAfter"))
	}
	if status == http.StatusPaymentRequired {
		shown = shown.with("Idempotency-Replayed", headerRef("IdempotencyReplayed"))
	}
	schema := object{{"allOf", []object{reference("ErrorEnvelope"), {
		{"properties", object{{"error", object{{"properties", object{{"code", object{{"enum", codes}}}}}}}}},
	}}}}
	return object{
		{"description", describe(http.StatusText(status), strings.Join(lines, "\n"))},
		{"headers", shown},
		{"content", object{{"application/json", object{{"schema", schema}, {"examples", w.exampleNames(codes)}}}}},
	}
}

// components adds the envelope of failures and returns every schema by name.
func (w *writer) components() object {
	w.schemas.add("ErrorEnvelope", object{
		{"type", "object"},
		{"description", "A failure. error.code is the only thing to branch on."},
		{"properties", object{
			{"ok", object{{"const", false}, {"description", "Whether the call succeeded."}}},
			{"data", object{{"type", []string{"object", "null"}}, {"description", "null, but for GET /health, whose report is there either way."}}},
			{"error", w.schemas.ref((*partnerv1.Error)(nil).ProtoReflect().Descriptor(), answered)},
			{"meta", w.schemas.ref((*partnerv1.ResponseMeta)(nil).ProtoReflect().Descriptor(), answered)},
		}},
		{"required", []string{"ok", "data", "error", "meta"}},
	})
	out := slices.Clone(w.schemas.list)
	slices.SortFunc(out, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return out
}
