package webhookhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/feddi/feddi/core/webhook"
)

// linger is how long a lane with nothing to do stays open.
const linger = 5 * time.Second

// lane delivers to one subscription.
type lane struct {
	w        *Worker
	id       string
	bell     chan struct{} // something may be due
	failures int           // in a row
	width    int           // posts at a time; one after an outage, then doubling
}

func (l *lane) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

func (l *lane) run(ctx context.Context) {
	l.width = concurrency
	for {
		wait := l.drain(ctx)
		timer := time.NewTimer(min(wait, linger))
		select {
		case <-ctx.Done():
			timer.Stop()
			w := l.w
			w.mu.Lock()
			delete(w.lanes, l.id)
			w.mu.Unlock()
			return
		case <-l.probeOr(l.bell):
		case <-timer.C:
			if wait > linger && !webhook.Probing(l.failures) && l.w.leave(l) {
				return
			}
		}
		timer.Stop()
	}
}

// probeOr gives the bell, or nothing while the endpoint is only probed: new
// events must not turn into new posts at a dead endpoint.
func (l *lane) probeOr(bell <-chan struct{}) <-chan struct{} {
	if webhook.Probing(l.failures) {
		return nil
	}
	return bell
}

// drain delivers what is due and returns how long there is nothing to do.
func (l *lane) drain(ctx context.Context) time.Duration {
	const idle = 2 * linger
	for ctx.Err() == nil {
		// Read before each claim: a pause, a new URL or a rotation holds for the
		// very next post, however long the backlog is.
		sub, err := l.w.queue.Endpoint(ctx, l.id)
		if err != nil || sub == nil {
			return l.trouble(ctx, "read the subscription", err, idle)
		}
		l.failures = max(l.failures, sub.Health.ConsecutiveFailures)
		signer, err := newSigner(*sub)
		if err != nil {
			return l.trouble(ctx, "read the signing secret", err, idle)
		}
		limit := claimSize
		if webhook.Probing(l.failures) {
			limit = 1
		}
		claimed, err := l.w.queue.Claim(ctx, *sub, l.w.clock.Now(), lease, limit)
		if err != nil {
			return l.trouble(ctx, "claim deliveries", err, time.Second)
		}
		if len(claimed) == 0 {
			return idle
		}
		if err := l.deliver(ctx, *sub, signer, claimed); err != nil {
			return l.trouble(ctx, "record deliveries", err, time.Second)
		}
		if webhook.Probing(l.failures) {
			return webhook.ProbeIn(l.failures, l.w.random())
		}
	}
	return idle
}

func (l *lane) trouble(ctx context.Context, what string, err error, wait time.Duration) time.Duration {
	if err != nil && ctx.Err() == nil {
		l.w.log.Error("webhook deliveries are held up", "subscription", l.id, "step", what, "error", err)
	}
	return wait
}

// deliver posts claimed deliveries, a few at a time, and records the outcomes.
func (l *lane) deliver(ctx context.Context, sub webhook.Subscription, signer signer, claimed []webhook.Claimed) error {
	// A post under way is finished even when the server stops: its outcome
	// would otherwise be lost and the event delivered twice.
	posting := context.WithoutCancel(ctx)
	outcomes := make([]webhook.Outcome, 0, len(claimed))
	for start := 0; start < len(claimed); {
		group := claimed[start:min(start+l.width, len(claimed))]
		start += len(group)
		if ctx.Err() != nil || (webhook.Probing(l.failures) && len(outcomes) > 0) {
			outcomes = append(outcomes, l.giveBack(group)...)
			continue
		}
		outcomes = append(outcomes, l.postAll(posting, sub, signer, group)...)
	}
	if err := l.w.queue.Settle(posting, l.id, outcomes, l.failures); err != nil {
		return err
	}
	return l.disableIfDead(posting, outcomes)
}

// giveBack returns deliveries that were claimed and not posted, because the
// endpoint went down or the server stops. No attempt was made.
func (l *lane) giveBack(group []webhook.Claimed) []webhook.Outcome {
	out := make([]webhook.Outcome, len(group))
	for i, c := range group {
		out[i] = webhook.Outcome{No: c.No, State: webhook.Pending, DueAt: l.w.clock.Now()}
	}
	return out
}

// postAll posts a group at once and judges each.
func (l *lane) postAll(ctx context.Context, sub webhook.Subscription, signer signer, group []webhook.Claimed) []webhook.Outcome {
	attempts := make([]webhook.Attempt, len(group))
	var all sync.WaitGroup
	for i, c := range group {
		all.Go(func() { attempts[i] = l.post(ctx, sub, signer, c) })
	}
	all.Wait()
	out := make([]webhook.Outcome, len(group))
	for i, c := range group {
		out[i] = l.judge(c, attempts[i])
	}
	return out
}

// judge turns an attempt into an outcome and keeps the count of failures.
func (l *lane) judge(c webhook.Claimed, a webhook.Attempt) webhook.Outcome {
	o := webhook.Outcome{No: c.No, Attempt: a, DueAt: a.At}
	switch {
	case a.Error == "":
		l.failures, l.width = 0, min(l.width*2, concurrency)
		o.State = webhook.Delivered
	case a.At.Sub(c.CreatedAt) >= webhook.GiveUpAfter:
		l.failures, l.width = l.failures+1, 1
		o.State = webhook.Parked
	default:
		l.failures, l.width = l.failures+1, 1
		o.State = webhook.Retrying
		if !webhook.Probing(l.failures) {
			o.DueAt = a.At.Add(webhook.RetryIn(c.Attempt, l.w.random()))
		}
	}
	return o
}

// disableIfDead stops a subscription whose endpoint failed for a whole day.
func (l *lane) disableIfDead(ctx context.Context, outcomes []webhook.Outcome) error {
	for _, o := range outcomes {
		if o.State == webhook.Parked && webhook.Probing(l.failures) {
			l.w.log.Warn("a webhook subscription was disabled: its endpoint failed for a day", "subscription", l.id)
			return l.w.queue.Disable(ctx, l.id, l.w.clock.Now())
		}
	}
	return nil
}

// post makes one attempt. Success is a 2xx; a redirect is not followed, since
// the receiver of a signed secret-bearing post is the URL that was vetted.
func (l *lane) post(ctx context.Context, sub webhook.Subscription, signer signer, c webhook.Claimed) webhook.Attempt {
	at := l.w.clock.Now()
	a := webhook.Attempt{Number: c.Attempt, At: at}
	req, err := request(ctx, sub.URL, signer, l.w.apiVersion, c.Event, at)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	res, err := l.w.clients[sub.Tenant.Mode].Do(req)
	a.Duration = l.w.clock.Now().Sub(at)
	if err != nil {
		a.Error = cause(err)
		return a
	}
	defer res.Body.Close()
	a.StatusCode = res.StatusCode
	a.Excerpt = excerpt(res.Body)
	if res.StatusCode < 200 || res.StatusCode > 299 {
		a.Error = "the endpoint answered " + http.StatusText(res.StatusCode)
	}
	return a
}

// cause says why no answer came, without the URL that the caller knows.
func cause(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errInside):
		return errInside.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the endpoint did not answer within " + postTimeout.String()
	}
	text := err.Error()
	if _, after, ok := strings.Cut(text, ": "); ok {
		text = after
	}
	return text
}

// excerpt reads the first 500 characters of an answer, made safe to store, and
// a little more, so that the connection can be used again.
func excerpt(r io.Reader) string {
	raw, _ := io.ReadAll(io.LimitReader(r, 4<<10))
	runes := []rune(strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\x00", ""), ""))
	return string(runes[:min(len(runes), 500)])
}
