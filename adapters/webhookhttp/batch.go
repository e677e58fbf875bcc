package webhookhttp

import (
	"fmt"
	"net/url"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/webhook"
)

// target is where a batch goes, as it was read before the batch began.
type target struct {
	webhook.Subscription
	url    *url.URL
	signer *signer
}

func newTarget(s webhook.Subscription) (target, error) {
	at, err := url.Parse(s.URL)
	if err != nil {
		return target{}, fmt.Errorf("read the URL: %w", err)
	}
	signer, err := newSigner(s)
	if err != nil {
		return target{}, fmt.Errorf("read the signing secret: %w", err)
	}
	return target{s, at, signer}, nil
}

// batch is what a lane is given to post at a time: what a claim took, or what a
// run of the log has for it. The lane's lock guards it.
type batch struct {
	to   target
	jobs []*job
	open int           // jobs without an outcome
	done chan struct{} // closed when there is none

	claimed bool // else it comes from the log
	begun   bool // a first post was made
}

// probes reports whether a post of the batch may ask a dead endpoint whether it
// is back: the first one of a claim.
func (b *batch) probes() bool { return b.claimed && !b.begun }

// job is one delivery to post, and what became of it.
type job struct {
	webhook.Claimed
	batch   *batch
	begun   bool
	over    bool // outcome holds
	outcome webhook.Outcome
	// event is the place in the log of a job that came from there; made is its
	// delivery's id, and stage how far its writing down is.
	event event.Logged
	made  string
	stage stage
}

// stage is how far the writing down of a delivery that came from the log is.
type stage int

const (
	_ stage = iota // its run has it, and writes its outcome
	// sealed: it is being written as under way; its number is not known yet.
	sealed
	// written: whoever ends it settles it.
	written
	// dropped: it was not written. Its event comes again, or it was there before.
	dropped
)

func newBatch(to target, jobs []*job) *batch {
	b := &batch{to: to, jobs: jobs, open: len(jobs), done: make(chan struct{})}
	for _, j := range jobs {
		j.batch = b
	}
	return b
}

// end gives a job its outcome.
func (b *batch) end(j *job, o webhook.Outcome) {
	j.over, j.outcome = true, o
	if b.open--; b.open == 0 {
		close(b.done)
	}
}

// notPosted is the outcome of a delivery that goes back as it was: the endpoint
// went down, the server stops, or its turn did not come. No attempt was made.
func notPosted(no int64, at time.Time) webhook.Outcome {
	return webhook.Outcome{No: no, State: webhook.Pending, DueAt: at}
}
