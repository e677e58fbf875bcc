// Package goldenpath walks one coffee from hello to receipt over the public
// HTTP surface, as a partner's till would: it knows nothing of the server but
// its address. `feddi demo` prints the walk, and repeats it to time each step.
package goldenpath

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// apiVersion is the contract version this till was built against.
const apiVersion = "2026-06-01"

// object is a decoded JSON object.
type object = map[string]any

// client speaks REST to one server.
type client struct {
	base  string // up to and including /v1/partner
	http  *http.Client
	key   string // x-api-key
	token string // terminal JWT
	where object // the context of every POST
}

// exchange is one request with its answer.
type exchange struct {
	Method, Path string
	Status       int
	Took         time.Duration
	Data         object // data of the envelope
	Error        object // error of the envelope, where there is one
	Meta         object
	Raw          []byte
}

// credential says what a request authenticates with.
type credential int

const (
	nobody credential = iota
	byKey
	byTerminal
)

// post sends body with meta, context and a new Idempotency-Key.
func (c *client) post(ctx context.Context, as credential, path string, body object) (exchange, error) {
	full := object{"meta": object{"api_version": apiVersion}}
	if c.where != nil {
		full["context"] = c.where
	}
	for k, v := range body {
		full[k] = v
	}
	raw, err := json.Marshal(full)
	if err != nil {
		return exchange{}, err
	}
	return c.send(ctx, as, http.MethodPost, path, raw, uuid.NewString(), "")
}

// get reads path; accept is a media type, empty for JSON.
func (c *client) get(ctx context.Context, as credential, path, accept string) (exchange, error) {
	return c.send(ctx, as, http.MethodGet, path, nil, "", accept)
}

func (c *client) send(ctx context.Context, as credential, method, path string, body []byte, key, accept string) (exchange, error) {
	x := exchange{Method: method, Path: path}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return x, err
	}
	c.headers(req, as, key, accept)
	begin := time.Now()
	res, err := c.http.Do(req)
	if err != nil {
		return x, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer res.Body.Close()
	x.Raw, err = io.ReadAll(io.LimitReader(res.Body, 8<<20))
	x.Took, x.Status = time.Since(begin), res.StatusCode
	if err != nil {
		return x, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		err = x.open()
	}
	return x, err
}

func (c *client) headers(req *http.Request, as credential, key, accept string) {
	if req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	switch as {
	case byKey:
		req.Header.Set("x-api-key", c.key)
	case byTerminal:
		req.Header.Set("Authorization", "Bearer "+c.token)
	case nobody:
	}
}

// open takes the envelope apart.
func (x *exchange) open() error {
	var e struct {
		Data  object
		Error object
		Meta  object
	}
	dec := json.NewDecoder(bytes.NewReader(x.Raw))
	dec.UseNumber()
	if err := dec.Decode(&e); err != nil {
		return fmt.Errorf("%s %s answered %d with no envelope: %w", x.Method, x.Path, x.Status, err)
	}
	x.Data, x.Error, x.Meta = e.Data, e.Error, e.Meta
	return nil
}

// want gives an error where the status is not one of those expected.
func (x exchange) want(statuses ...int) error {
	for _, s := range statuses {
		if x.Status == s {
			return nil
		}
	}
	return fmt.Errorf("%s %s answered %d, not %v: %s", x.Method, x.Path, x.Status, statuses, x.Raw)
}

// text reads a string (or number) at a dotted path; empty where there is none.
func text(from any, path string) string {
	switch v := at(from, path).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// minor reads an integer at a dotted path; 0 where there is none.
func minor(from any, path string) int64 {
	n, ok := at(from, path).(json.Number)
	if !ok {
		return 0
	}
	v, _ := n.Int64()
	return v
}

// list reads an array of objects at a dotted path.
func list(from any, path string) []object {
	items, _ := at(from, path).([]any)
	out := make([]object, 0, len(items))
	for _, item := range items {
		if o, ok := item.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

func at(from any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		o, ok := from.(object)
		if !ok {
			return nil
		}
		from = o[name]
	}
	return from
}
