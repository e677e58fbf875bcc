// Package hook is a partner's webhook endpoint for end-to-end tests: it
// verifies each signature with the reference implementation of Standard
// Webhooks and keeps what arrived.
package hook

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Delivery is one event as it arrived first.
type Delivery struct {
	Type      string          `json:"type"`
	ID        string          `json:"id"`
	Timestamp time.Time       `json:"timestamp"`
	Version   string          `json:"api_version"`
	Data      json.RawMessage `json:"data"`
	// MessageID is the webhook-id header.
	MessageID string `json:"-"`
	// Took is from the event's own time to its arrival.
	Took time.Duration `json:"-"`
}

// Receiver is an endpoint on loopback. Deliveries that come before Trust are
// refused, and tried again by their sender.
type Receiver struct {
	server *httptest.Server

	mu      sync.Mutex
	verify  *standard.Webhook
	got     []Delivery
	refused []error
	change  chan struct{} // closed and replaced at every arrival
}

// Listen starts a receiver; the caller closes it.
func Listen() *Receiver {
	r := &Receiver{change: make(chan struct{})}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	return r
}

// Close stops the receiver.
func (r *Receiver) Close() { r.server.Close() }

// URL is where deliveries are to be posted.
func (r *Receiver) URL() string { return r.server.URL + "/hook" }

// Trust sets the secret that signatures are verified with.
func (r *Receiver) Trust(secret string) error {
	verify, err := standard.NewWebhook(secret)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verify = verify
	return nil
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	arrived := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	if err := r.take(arrived, body, req.Header); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

var errNoSecret = errors.New("no secret yet")

func (r *Receiver) take(arrived time.Time, body []byte, header http.Header) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verify == nil {
		return errNoSecret
	}
	var d Delivery
	err := errors.Join(r.verify.Verify(body, header), json.Unmarshal(body, &d))
	if err != nil {
		r.refused = append(r.refused, err)
		return err
	}
	if slices.ContainsFunc(r.got, func(g Delivery) bool { return g.ID == d.ID }) {
		return nil // delivery is at least once
	}
	d.MessageID, d.Took = header.Get("webhook-id"), arrived.Sub(d.Timestamp)
	r.got = append(r.got, d)
	close(r.change)
	r.change = make(chan struct{})
	return nil
}

// Got is what arrived so far, in the order of arrival, and what was refused
// because its signature or body was wrong.
func (r *Receiver) Got() (got []Delivery, refused []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got), slices.Clone(r.refused)
}

// Change is closed at the next arrival.
func (r *Receiver) Change() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.change
}
