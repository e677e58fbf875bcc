package webhookhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/feddi/feddi/core/webhook"
)

// push gives the lane a batch to post, behind those that it has.
func (l *lane) push(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, b.jobs...)
	l.start()
}

// offer gives the lane a run's jobs to post at once; it takes none where its
// endpoint is down, and of an endpoint that takes its time no more than a claim
// would. quick says that the run does well to wait for the answers.
func (l *lane) offer(to target, jobs []*job) (b *batch, quick bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = l.w.clock.Now()
	if webhook.Probing(max(l.failures, to.Health.ConsecutiveFailures)) {
		return nil, false
	}
	if quick = l.mean > 0 && l.mean < swift; !quick {
		jobs = jobs[:min(len(jobs), max(0, claimSize-l.held))]
	}
	if len(jobs) == 0 {
		return nil, quick
	}
	b = newBatch(to, jobs)
	l.waiting = append(l.waiting, jobs...)
	l.start()
	return b, quick
}

// start begins posts until the lane is as wide as it may be.
func (l *lane) start() {
	for n := len(l.waiting); n > 0 && l.posting < l.width; n-- {
		l.posting++
		l.w.running.Go(l.work)
	}
}

// work posts one job after another while there are any.
func (l *lane) work() {
	for {
		j, c := l.next()
		if j == nil {
			return
		}
		l.finish(j, l.post(j.batch.to, c))
	}
}

// next gives the next job and a copy of what it posts; nil ends who asks.
func (l *lane) next() (*job, webhook.Claimed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 && l.posting <= l.width {
		j := l.waiting[0]
		l.waiting = l.waiting[1:]
		if l.ctx.Err() != nil || (webhook.Probing(l.failures) && !j.batch.probes()) {
			l.end(j, notPosted(j.No, l.w.clock.Now()))
			continue
		}
		j.begun, j.batch.begun = true, true
		return j, j.Claimed
	}
	l.posting--
	l.tell()
	return nil, webhook.Claimed{}
}

// finish judges an attempt.
func (l *lane) finish(j *job, a webhook.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mean == 0 {
		l.mean = a.Duration
	}
	l.mean = (7*l.mean + a.Duration) / 8
	l.end(j, l.judge(j.Claimed, a))
	l.start() // it may be wider now
}

// end gives a job its outcome; one that its run did not wait for is settled here.
func (l *lane) end(j *job, o webhook.Outcome) {
	j.batch.end(j, o)
	if j.stage == written {
		l.late = append(l.late, o)
		l.tell()
	}
}

// tell wakes the lane where there is something to settle, or where it waits for
// its end.
func (l *lane) tell() {
	if len(l.late) > 0 || l.ctx.Err() != nil {
		ring(l.told)
	}
}

// seal ends the run's wait for a batch: what is under way is from now on the
// lane's, and what did not come to its turn is given back. It reports the
// failures in a row, whether the endpoint answered, and whether anything is left
// to be claimed.
func (l *lane) seal(b *batch, quick bool, at time.Time) (failures int, answered, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range b.jobs {
		switch {
		case j.over:
		case quick && !j.begun:
			b.end(j, notPosted(0, at))
		default:
			j.stage = sealed
			l.held++
			continue
		}
		answered = answered || j.outcome.Attempt.Number > 0
		left = left || j.outcome.State == webhook.Pending
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(j *job) bool { return j.over })
	return l.failures, answered, left
}

// written tells the lane under which numbers the sealed jobs of a batch were
// written down. What has none was not, and nobody settles it.
func (l *lane) written(b *batch, numbers map[string]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range b.jobs {
		if j.stage != sealed {
			continue
		}
		no, ok := numbers[j.made]
		if !ok {
			j.stage = dropped
			l.held--
			continue
		}
		j.No, j.stage = no, written
		if j.over {
			j.outcome.No = no
			l.late = append(l.late, j.outcome)
		}
	}
	l.tell()
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

// post makes one attempt. Success is a 2xx; a redirect is not followed, since
// the receiver of a signed secret-bearing post is the URL that was vetted.
func (l *lane) post(to target, c webhook.Claimed) webhook.Attempt {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), postTimeout)
	defer cancel()
	at := l.w.clock.Now()
	a := webhook.Attempt{Number: c.Attempt, At: at}
	req, err := request(ctx, to, l.w.apiVersion, c.Event, at)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	res, err := l.w.ways[to.Tenant.Mode].RoundTrip(req)
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

// cause says why no answer came.
func cause(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errInside):
		return errInside.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the endpoint did not answer within " + postTimeout.String()
	}
	return err.Error()
}

// excerpt reads the first 500 characters of an answer, made safe to store, and
// a little more, so that the connection can be used again.
func excerpt(r io.Reader) string {
	raw, _ := io.ReadAll(io.LimitReader(r, 4<<10))
	runes := []rune(strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\x00", ""), ""))
	return string(runes[:min(len(runes), 500)])
}
