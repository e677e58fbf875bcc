// Package document holds exchanges to the OpenAPI document that a running
// server serves: whatever the server answers must be what the document says
// it answers, and whatever it accepted must be what the document lets callers
// send.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
)

// Document is a served document, ready to judge. Safe for concurrent use.
type Document struct {
	// Tree is the document decoded.
	Tree map[string]any

	mu    sync.Mutex
	judge validator.Validator // one question at a time: it keeps notes as it answers
}

// Read reads a document.
func Read(raw []byte) (*Document, error) {
	d := &Document{}
	if err := json.Unmarshal(raw, &d.Tree); err != nil {
		return nil, err
	}
	parsed, err := libopenapi.NewDocument(raw)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(parsed, config.WithFormatAssertions(), config.WithRegexCache(&sync.Map{}))
	if len(errs) > 0 {
		return nil, errs[0]
	}
	d.judge = v
	return d, nil
}

// Request lists what the document has against a request.
func (d *Document) Request(r *http.Request, body []byte) []string {
	r.Body = io.NopCloser(bytes.NewReader(body))
	d.mu.Lock()
	defer d.mu.Unlock()
	_, problems := d.judge.ValidateHttpRequestSync(r)
	return texts(problems)
}

// Answer lists what the document has against an answer to r.
func (d *Document) Answer(r *http.Request, status int, header http.Header, body []byte) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, problems := d.judge.ValidateHttpResponse(r, &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	})
	return texts(problems)
}

func texts(problems []*errors.ValidationError) (out []string) {
	for _, p := range problems {
		text := p.Message + ": " + p.Reason
		for _, s := range p.SchemaValidationErrors {
			text += fmt.Sprintf("\n\t%s: %s", strings.TrimSpace(s.Location+" "+s.FieldPath), s.Reason)
		}
		out = append(out, text)
	}
	return out
}

// Operation is one operation of the document.
type Operation struct {
	ID, Method, Path string
	// Credentials are the names of the security schemes it takes; empty where
	// it needs none.
	Credentials []string
	// Request is the schema of the body, references resolved one step at a
	// time by Resolve; nil where there is no body.
	Request map[string]any
	// Example is the body's example, nil where there is none or where the body is
	// in a form of the caller's own.
	Example map[string]any
	// Operator says that it needs operator authority.
	Operator bool
	// Query are the names that its query may have.
	Query []string
}

// Operations lists what the document describes.
func (d *Document) Operations() (out []Operation) {
	paths, _ := d.Tree["paths"].(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, raw := range methods {
			spec, ok := raw.(map[string]any)
			if !ok || spec["operationId"] == nil {
				continue
			}
			out = append(out, operation(path, method, spec))
		}
	}
	return out
}

func operation(path, method string, spec map[string]any) Operation {
	o := Operation{Method: strings.ToUpper(method), Path: path}
	o.ID, _ = spec["operationId"].(string)
	o.Operator, _ = spec["x-operator"].(bool)
	security, _ := spec["security"].([]any)
	for _, alternative := range security {
		names, _ := alternative.(map[string]any)
		for name := range names {
			o.Credentials = append(o.Credentials, name)
		}
	}
	parameters, _ := spec["parameters"].([]any)
	for _, p := range parameters {
		row, _ := p.(map[string]any)
		if name, ok := row["name"].(string); ok && row["in"] == "query" {
			o.Query = append(o.Query, name)
		}
	}
	media, _ := at(spec, "requestBody", "content", "application/json").(map[string]any)
	o.Request, _ = media["schema"].(map[string]any)
	if o.Request["$ref"] != nil {
		o.Example, _ = media["example"].(map[string]any)
	}
	return o
}

// QuerySchema is the schema of a member of an operation's query; nil where it
// takes none of that name.
func (d *Document) QuerySchema(o Operation, name string) map[string]any {
	parameters, _ := at(d.Tree, "paths", o.Path, strings.ToLower(o.Method), "parameters").([]any)
	for _, p := range parameters {
		row, _ := p.(map[string]any)
		row = d.Resolve(row)
		if row["name"] == name && row["in"] == "query" {
			schema, _ := row["schema"].(map[string]any)
			return d.Resolve(schema)
		}
	}
	return nil
}

// Resolve follows a schema's reference, where it is one.
func (d *Document) Resolve(schema map[string]any) map[string]any {
	ref, _ := schema["$ref"].(string)
	if ref == "" {
		return schema
	}
	found, _ := at(d.Tree, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(map[string]any)
	return found
}

func at(v any, names ...string) any {
	for _, name := range names {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}
