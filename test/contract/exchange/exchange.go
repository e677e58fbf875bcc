// Package exchange checks recorded HTTP exchanges against an OpenAPI document,
// so that any test that speaks to a server also proves that the server keeps
// its published word.
package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const resource = "openapi.json"

// Checker knows one document. Safe for concurrent use.
type Checker struct {
	base     string
	paths    map[string]any
	document map[string]any

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// New returns a checker for the document of the surface below base (for
// example "/v1/partner").
func New(base string, document []byte) (*Checker, error) {
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	root, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is no object")
	}
	paths, ok := root["paths"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document has no paths")
	}
	c := &Checker{base: base, paths: paths, document: root, compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.compiler.AssertFormat()
	return c, c.compiler.AddResource(resource, tree)
}

// Check judges one exchange: the status is one that the operation lists, and a
// JSON body fits the schema of that status. A successful request's body must
// fit its schema too. Exchanges outside of base, on paths or methods that the
// document does not know (they answer 404, 405 or 501) and HEAD are not
// judged.
func (c *Checker) Check(method, path string, request []byte, status int, contentType string, response []byte) error {
	below, ok := strings.CutPrefix(path, c.base)
	template := c.template(below)
	if !ok || template == "" || status == http.StatusNotModified {
		return nil
	}
	op, ok := c.paths[template].(map[string]any)[strings.ToLower(method)].(map[string]any)
	if !ok {
		return nil
	}
	at := fmt.Sprintf("#/paths/%s/%s", escape(template), strings.ToLower(method))
	responses, _ := op["responses"].(map[string]any)
	entry, ok := responses[strconv.Itoa(status)].(map[string]any)
	if !ok {
		return fmt.Errorf("%s %s answers %d, which its contract does not list", method, template, status)
	}
	if status < http.StatusBadRequest && op["requestBody"] != nil && len(request) > 0 {
		if err := c.validate(at+"/requestBody/content/application~1json/schema", request); err != nil {
			return fmt.Errorf("%s %s: a request was accepted that breaks the contract: %w", method, template, err)
		}
	}
	if contentType != "application/json" {
		return nil
	}
	pointer := at + "/responses/" + strconv.Itoa(status)
	if ref, ok := entry["$ref"].(string); ok {
		pointer = ref
	}
	if err := c.validate(pointer+"/content/application~1json/schema", response); err != nil {
		return fmt.Errorf("%s %s %d: %w\n%s", method, template, status, err, response)
	}
	return nil
}

func escape(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1")
}

// template finds the path of the document that fits, a literal before a variable.
func (c *Checker) template(path string) string {
	best, parts := "", strings.Split(path, "/")
	for candidate := range c.paths {
		segments := strings.Split(candidate, "/")
		if len(segments) != len(parts) || !fits(segments, parts) {
			continue
		}
		if best == "" || strings.ReplaceAll(candidate, "{", "\xff") < strings.ReplaceAll(best, "{", "\xff") {
			best = candidate
		}
	}
	return best
}

func fits(segments, parts []string) bool {
	for i, s := range segments {
		if s != parts[i] && (!strings.HasPrefix(s, "{") || parts[i] == "") {
			return false
		}
	}
	return true
}

func (c *Checker) validate(pointer string, body []byte) error {
	schema, err := c.schema(pointer)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (c *Checker) schema(pointer string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(resource + pointer)
	if err == nil {
		c.compiled[pointer] = s
	}
	return s, err
}

// Transport is an http.RoundTripper that hands every exchange it carries to a
// Checker and what breaks the contract to Report.
type Transport struct {
	Next    http.RoundTripper
	Checker *Checker
	Report  func(error)
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := t.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	if !json.Valid(sent) {
		sent = nil
	}
	if r.Method != http.MethodHead {
		if err := t.Checker.Check(r.Method, r.URL.Path, sent, res.StatusCode, res.Header.Get("Content-Type"), got); err != nil {
			t.Report(err)
		}
	}
	return res, nil
}
