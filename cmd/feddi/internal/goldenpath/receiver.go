package goldenpath

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	webhook "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// delivery is one webhook as the partner's receiver saw it.
type delivery struct {
	Type, ID string
	At       time.Time // arrival
	Happened time.Time // the event's own time
}

// receiver is a partner's webhook endpoint: it verifies each signature with
// the reference implementation and answers 200, or 400 where it is wrong.
type receiver struct {
	url    string
	server *http.Server

	mu     sync.Mutex
	verify *webhook.Webhook
	seen   map[string]delivery // by event id: delivery is at least once
	order  []string
	wrong  int
	change chan struct{} // closed and replaced at every arrival
}

func listen(ctx context.Context) (*receiver, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + l.Addr().String() + "/hook", seen: map[string]delivery{}, change: make(chan struct{})}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// trust sets the secret that signatures are checked against.
func (r *receiver) trust(secret string) error {
	v, err := webhook.NewWebhook(secret)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verify = v
	return nil
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	arrived := time.Now()
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.check(body, req.Header); err != nil {
		r.wrong++
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var e struct {
		Type, ID  string
		Timestamp time.Time
	}
	if err := json.Unmarshal(body, &e); err != nil {
		r.wrong++
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	if _, again := r.seen[e.ID]; !again {
		r.seen[e.ID] = delivery{Type: e.Type, ID: e.ID, At: arrived, Happened: e.Timestamp}
		r.order = append(r.order, e.ID)
		close(r.change)
		r.change = make(chan struct{})
	}
}

func (r *receiver) check(body []byte, h http.Header) error {
	if r.verify == nil {
		return errors.New("no secret yet")
	}
	return r.verify.Verify(body, h)
}

// wait returns the deliveries once there is one of each type, or what arrived
// by the deadline of ctx.
func (r *receiver) wait(ctx context.Context, types ...string) ([]delivery, error) {
	for {
		r.mu.Lock()
		got, missing := r.missing(types)
		change := r.change
		r.mu.Unlock()
		if missing == "" {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return got, errors.New("no " + missing + " webhook arrived in time")
		case <-change:
		}
	}
}

func (r *receiver) missing(types []string) ([]delivery, string) {
	got := make([]delivery, 0, len(r.order))
	have := map[string]bool{}
	for _, id := range r.order {
		got = append(got, r.seen[id])
		have[r.seen[id].Type] = true
	}
	for _, t := range types {
		if !have[t] {
			return got, t
		}
	}
	return got, ""
}
