// Package trials answers what would have been: it runs drafts and stored offers
// on baskets made up for it and on past sessions, with the engine and the facts
// of real feeds, and reports the difference. It writes nothing and holds nothing.
package trials

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/incentives"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

// Bounds of a trial beyond those of the contract. What is left out is told.
const (
	// DefaultLimit is how long a trial runs before it stops taking up cases.
	DefaultLimit = 5 * time.Second
	// MaxListed is how many cases are listed one by one.
	MaxListed = 120
	// MaxDifferences is how many offers' differences are listed.
	MaxDifferences = 200
	// MaxSkipped is how many skipped sessions are named.
	MaxSkipped = 200
	// MaxNamed is how many customers are named for one offer, each way.
	MaxNamed = 100
	// DefaultSample is how many sessions a sample takes where it does not say.
	DefaultSample = 100
)

// What can be cut short, in the words of the surface.
const (
	CutEvaluations = "evaluations"
	CutTime        = "time"
	CutOffers      = "offers"
	CutSample      = "sample"
)

// Why a session can't be tried.
const (
	NotDecided    = "NOT_DECIDED"
	EngineChanged = "ENGINE_CHANGED"
)

// Service is the use cases of trials.
type Service struct {
	UoW        app.UnitOfWork
	Clock      clock.Clock
	Directory  tenancy.Directory
	Incentives *incentives.Service
	Limit      time.Duration // 0 means DefaultLimit
}

// Input says what is tried on what.
type Input struct {
	Drafts     []Draft
	OfferIDs   []string // stored offers, whatever their status; empty: those that are, or were, active
	DraftsOnly bool
	Baskets    []Basket
	SessionIDs []string
	Sample     *checkout.Sample
	// Progress, where set, is told how far the trial is: when the cases are known,
	// and each time one is done. The trial waits for it.
	Progress func(Progress)
}

// Progress is how far a trial is.
type Progress struct {
	Done, Total int    // cases; those that are skipped are done too
	Offers      int    // that either side has shown so far
	Totals      Totals // of what is done
}

// Draft is a definition that is tried and not stored. One that bears the id of a
// stored offer stands in its place.
type Draft struct {
	ID         string
	Definition offers.Definition
}

// Basket is a case made up for the trial.
type Basket struct {
	ID, CustomerID, BranchID, Channel string
	At                                *time.Time // nil: now
	Draft                             checkout.Draft
}

// Result is what a trial would have changed.
type Result struct {
	Cases     []Case // the first MaxListed
	Totals    Totals
	Offers    []Difference // the largest first
	Skipped   []Skipped
	Truncated []string // what was cut short
	TraceID   string   `json:"-"`
}

// Case is one case with both feeds.
type Case struct {
	ID, CustomerID, Currency  string
	TraceID                   string // of the feed that it is compared with; empty for a basket
	Baseline, Trial           offers.Feed
	BaselineMinor, TrialMinor int64 // worth of the best combination
}

// Totals are over all cases in Currency; Cases and Skipped over all there are.
type Totals struct {
	Cases, Changed, Skipped   int
	BaselineMinor, TrialMinor int64
	Currency                  string
}

// Skipped is a session that could not be tried.
type Skipped struct{ ID, Reason string }

// Evaluate runs a trial. The same input on the same data gives the same result.
// What ends ctx ends the trial, before the next case. Drafts and baskets are in the
// merchant's own currency, so that none is unsupported.
// Errors: NOT_FOUND (offer, budget, customer, branch, session), CURRENCY_MISMATCH,
// VALIDATION_FAILED, AMOUNT_OUT_OF_RANGE, DEADLINE_EXCEEDED.
func (s *Service) Evaluate(ctx context.Context, call *app.Call, in Input) (Result, error) {
	r, err := s.run(ctx, call, in)
	if err != nil {
		return r, err
	}
	return app.Mutate(ctx, s.UoW, s.Clock.Now(), call, func(context.Context, app.Stores) (Result, error) { return r, nil })
}

// run tries everything outside of any transaction: it may take seconds, and
// events wait for the oldest running transaction.
func (s *Service) run(ctx context.Context, call *app.Call, in Input) (Result, error) {
	began, st := s.Clock.Now(), s.UoW.Read()
	merchant, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return Result{}, err
	}
	t := &trial{s: s, st: st, call: call, progress: in.Progress, known: map[offers.Ref]offers.Offer{}, now: began, tally: newTally(own(merchant.Settings))}
	if err := t.load(ctx, in); err != nil {
		return Result{}, err
	}
	cases, err := t.cases(ctx, in)
	if err != nil {
		return Result{}, err
	}
	t.total = len(cases)
	t.report()
	for from := 0; from < len(cases); from += pieceSize {
		if s.Clock.Now().Sub(began) > s.limit() {
			t.cut(CutTime)
			break
		}
		if err := t.try(ctx, cases[from:min(from+pieceSize, len(cases))]); err != nil {
			return Result{}, err
		}
	}
	if err := ended(ctx); err != nil { // a rule may have been stopped in the middle
		return Result{}, err
	}
	return t.result(s.Incentives.Rules.Environment())
}

// ended is the refusal of a trial that was ended from outside; nil while it may
// go on.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.CodeDeadlineExceeded, "the trial took too long; ask for fewer sessions").Because(err)
	}
	return nil
}

func (s *Service) limit() time.Duration {
	if s.Limit > 0 {
		return s.Limit
	}
	return DefaultLimit
}

// pieceSize is how many cases are read at once.
const pieceSize = 20

// trial is one run.
type trial struct {
	s      *Service
	st     app.Stores
	call   *app.Call
	now    time.Time
	drafts []offers.Offer
	// fixed are the stored offers that the request names; only they and the
	// drafts are tried then.
	fixed []offers.Offer
	alone bool // no stored offers are tried but fixed
	funds []offers.Funds
	known map[offers.Ref]offers.Offer
	out   Result
	tally *tally
	// progress is told of each case that is done, of total; nil where nobody asks.
	progress func(Progress)
	total    int
}

// subject is a case with what it is decided from.
type subject struct {
	id, traceID string
	session     bool // its facts are those of its latest feed
	facts       offers.Facts
	refs        []offers.Ref // the offers that it is judged by without the trial
}

// report tells how far the trial is.
func (t *trial) report() {
	if t.progress == nil {
		return
	}
	sums := t.totals()
	t.progress(Progress{Done: sums.Cases + sums.Skipped, Total: t.total, Offers: len(t.tally.offers), Totals: sums})
}

// totals are the sums of what is done.
func (t *trial) totals() Totals {
	sums := t.tally.totals
	sums.Skipped = len(t.out.Skipped)
	return sums
}

// cut notes that something was cut short, once.
func (t *trial) cut(what string) {
	if !slices.Contains(t.out.Truncated, what) {
		t.out.Truncated = append(t.out.Truncated, what)
	}
}

// result closes the run.
func (t *trial) result(rules string) (Result, error) {
	t.out.Totals = t.totals()
	if len(t.out.Skipped) > MaxSkipped {
		t.out.Skipped = t.out.Skipped[:MaxSkipped]
	}
	t.out.Offers = t.tally.differences()
	if len(t.out.Offers) > MaxDifferences {
		t.out.Offers = t.out.Offers[:MaxDifferences]
		t.cut(CutOffers)
	}
	slices.Sort(t.out.Truncated)
	raw, err := json.Marshal(t.out)
	if err != nil {
		return Result{}, fault.Internal(err)
	}
	// It is a function of its input, so the answer names it. There is no such
	// trace to be read: nothing was shown to anybody.
	t.out.TraceID = decision.TraceID("offers trial", engine.Version, rules, strconv.FormatInt(int64(t.call.Tenant.No), 10), string(raw))
	return t.out, nil
}

// inside tells a fault of one element by its place in the request.
func inside(err error, path string) error {
	e := fault.As(err)
	if e == nil {
		return err
	}
	moved := *e
	moved.Details = slices.Clone(e.Details)
	for i := range moved.Details {
		moved.Details[i].Field = path + "." + moved.Details[i].Field
	}
	return &moved
}

func element(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// own is the merchant's own currency.
func own(set tenancy.Settings) string {
	if len(set.Currencies) == 0 {
		return ""
	}
	return set.Currencies[0]
}
