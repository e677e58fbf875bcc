package payments

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// maxTries is how often a payment is decided anew because somebody else was
// faster.
const maxTries = 3

// job is one debit on its way through the pipeline. Only one worker at a time
// holds it.
type job struct {
	ctx      context.Context
	call     *app.Call
	settings tenancy.Settings
	want     Want
	// payment is what was asked for; decided fills in the rest.
	payment ledger.Payment
	done    chan outcome
	lane    *lane
	tries   int
	claims  []claim

	// Of the present round.
	state    State
	snapshot actuation.Snapshot
	plan     actuation.Outcome
	posting  Posting
	result   Result
}

// outcome is what a job comes back with: a result, an error, or a decline that
// its caller has to record.
type outcome struct {
	result   *Result // the job's own
	err      error
	declined *declined
}

// declined is a decision against a payment for want of funds. It travels as an
// error inside this package only.
type declined struct {
	settings tenancy.Settings
	payment  ledger.Payment
	state    State
	snapshot actuation.Snapshot
	plan     actuation.Outcome
	at       time.Time
}

// Error implements error.
func (d *declined) Error() string { return "insufficient funds for " + d.payment.ID }

func newJob(ctx context.Context, call *app.Call, settings tenancy.Settings) *job {
	return &job{ctx: ctx, call: call, settings: settings, done: make(chan outcome, 1), claims: make([]claim, 0, 3)}
}

// scope prepares the want's key from the call.
func (j *job) scope() {
	if j.call.Pin != nil {
		j.want.Scope = j.call.Pin.Scope
	}
}
