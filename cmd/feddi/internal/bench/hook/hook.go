// Package hook is a webhook receiver on loopback that counts.
package hook

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
)

// Receiver answers 200, or 500 while it fails, and remembers which events and
// which payments it has heard of.
type Receiver struct {
	URL    string
	server *load.Server
	failed atomic.Bool

	mu             sync.Mutex
	events         map[string]struct{}  // that it took
	at             map[string]time.Time // first arrival by payment id
	last           time.Time            // the latest event
	twice, refused int64
	news           chan struct{} // closed at the next arrival; nil where nobody waits for it
}

// Listen starts a receiver. Close it.
func Listen(ctx context.Context) (*Receiver, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Receiver{URL: "http://" + l.Addr().String() + "/hook", events: map[string]struct{}{}, at: map[string]time.Time{}}
	r.server = load.Serve(l, r.answer)
	return r, nil
}

// Close ends it.
func (r *Receiver) Close() { r.server.Close() }

// Fail makes it answer 500 from now on, or 200 again.
func (r *Receiver) Fail(failed bool) { r.failed.Store(failed) }

// What stands in front of an event's and a payment's id.
const (
	event   = "\r\nWebhook-Id: "
	payment = `"payment_id":"`
)

var (
	ok     = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	failed = []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
)

func (r *Receiver) answer(head, body []byte) []byte {
	now := time.Now()
	if r.failed.Load() {
		r.mu.Lock()
		r.refused++
		r.mu.Unlock()
		return failed
	}
	r.arrived(string(load.Behind(head, event, '\r')), string(load.Behind(body, payment, '"')), now)
	return ok
}

func (r *Receiver) arrived(event, payment string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.events[event]; known {
		r.twice++
		return
	}
	r.events[event], r.last = struct{}{}, now
	if _, known := r.at[payment]; !known && payment != "" {
		r.at[payment] = now
	}
	if r.news != nil {
		close(r.news)
		r.news = nil
	}
}

// Arrived tells when a payment was first heard of.
func (r *Receiver) Arrived(id string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[id]
	return at, ok
}

// Distinct is how many events were heard of.
func (r *Receiver) Distinct() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// Twice is how many posts told of an event that was known.
func (r *Receiver) Twice() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.twice
}

// Refused is how many posts were answered 500.
func (r *Receiver) Refused() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Last is when the latest event was first heard of.
func (r *Receiver) Last() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Wait waits until n events were heard of, for d at most.
func (r *Receiver) Wait(ctx context.Context, n int, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		r.mu.Lock()
		if r.news == nil {
			r.news = make(chan struct{})
		}
		have, news := len(r.events), r.news
		r.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events arrived in %s: %w", have, n, d, ctx.Err())
		case <-news:
		}
	}
}
