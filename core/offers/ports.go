package offers

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// RuleCompiler is the rule language behind conditions.rule. Safe for
// concurrent use. Equal expressions may share one Rule.
type RuleCompiler interface {
	// Environment names the version of the variables a rule sees, for example
	// "offers/1". A trace records it.
	Environment() string
	// Compile checks and compiles an expression. Errors: VALIDATION_FAILED with
	// the place of the mistake, or with the cost where it may cost too much.
	Compile(expression string) (Rule, error)
	// Bind turns facts into what rules read, once per evaluation. The facts must
	// not change while it is used.
	Bind(f *Facts) RuleInput
}

// RuleInput is facts in the form of one RuleCompiler; opaque here.
type RuleInput any

// Rule is one compiled expression. Safe for concurrent use.
type Rule interface {
	// Met runs the rule. It stops with an error when the rule costs more than it
	// may, when ctx ends, or when the rule fails on these facts; such a rule
	// counts as not met.
	Met(ctx context.Context, in RuleInput) (bool, error)
	// NeedsBasket reports whether the rule reads the basket or the session's
	// channel or place, which a customer's own feed does not know.
	NeedsBasket() bool
}

// Ref names a version of an offer.
type Ref struct {
	OfferID string `json:"offer_id"`
	Version int64  `json:"version"`
}

// Filter selects offers of a list; zero members do not.
type Filter struct {
	Status     Status // StatusExpired too; empty means all but archived
	Kind       Kind
	BrandID    string     // this brand's and the whole merchant's
	ActiveFrom *time.Time // the window ends after it
	ActiveTo   *time.Time // the window starts before it
	Before     string     // offers older than this id: where the page before ended
	Limit      int
	Now        time.Time // what Status is judged at
}

// Definitions keeps offers and their versions. Every method is bounded by the
// tenant. Each change raises the tenant's catalogue version.
type Definitions interface {
	// Insert writes a new offer with version 1.
	Insert(ctx context.Context, o Offer) error
	// AddVersion writes o.Definition as version o.Version, the successor of the
	// latest. Errors: REVISION_CONFLICT where it is not.
	AddVersion(ctx context.Context, o Offer) error
	// SetStatus changes the status where it still is from. Errors: STATE_CONFLICT.
	SetStatus(ctx context.Context, t tenancy.Tenant, offerID string, from, to Status, now time.Time) error
	// Offer reads an offer at a version; 0 means the latest. Errors: NOT_FOUND.
	Offer(ctx context.Context, t tenancy.Tenant, offerID string, version int64) (Offer, error)
	// Versions reads several, in the order of refs; those that do not exist are left out.
	Versions(ctx context.Context, t tenancy.Tenant, refs []Ref) ([]Offer, error)
	// List pages offers at their latest version, latest first.
	List(ctx context.Context, t tenancy.Tenant, f Filter) ([]Offer, error)
	// CatalogueVersion is the tenant's; 0 before the first offer.
	CatalogueVersion(ctx context.Context, t tenancy.Tenant) (int64, error)
	// Changed lists offers at their latest version that changed after a
	// catalogue version, with their status, and the version this is as of.
	// After 0 it leaves out those that are not active.
	Changed(ctx context.Context, t tenancy.Tenant, after int64) ([]Offer, int64, error)
}

// Applications keeps what sessions hold.
type Applications interface {
	// InsertApplication writes a new application.
	InsertApplication(ctx context.Context, a Application) error
	// SaveApplication writes state, figures and times of a where it is still in
	// state from. Errors: STATE_CONFLICT.
	SaveApplication(ctx context.Context, a Application, from ApplicationState) error
	// Applications lists those of a session in the order they were applied,
	// released ones included. Every change of them goes with a save of the
	// session, whose version guards them.
	Applications(ctx context.Context, t tenancy.Tenant, sessionID string) ([]Application, error)
	// Seen is the version of an offer that the session was shown last, and the
	// trace that showed it; 0 where none did.
	Seen(ctx context.Context, t tenancy.Tenant, sessionID, offerID string) (version int64, traceID string, err error)
	// Uses reads the counters of offers, for an empty or given customer, on a
	// day of the merchant's zone; offers never taken are left out.
	Uses(ctx context.Context, t tenancy.Tenant, offerIDs []string, customerID, day string) ([]Use, error)
	// Take counts one more application of an offer against each of its limits.
	// It returns the name of the limit that was reached before (per_customer,
	// total, per_day, per_customer_per_day), and the caller must undo its
	// transaction then; or "". Of any number of concurrent takers no more than
	// the limit succeed.
	Take(ctx context.Context, t tenancy.Tenant, offerID string, l Limits, customerID, day string) (reached string, err error)
	// GiveBack undoes Take.
	GiveBack(ctx context.Context, t tenancy.Tenant, offerID string, l Limits, customerID, day string) error
	// Counters adds up what became of an offer's applications.
	Counters(ctx context.Context, t tenancy.Tenant, offerID string) (Counters, error)
	// Profile reads what offers may know of a customer; an empty id gives the
	// anonymous one. Errors: NOT_FOUND.
	Profile(ctx context.Context, t tenancy.Tenant, customerID string) (Customer, error)
}

// Move is one change of a budget: what it holds and what it has spent, by how much.
type Move struct {
	MovementID  string
	BudgetID    string
	Type        string // committed, released, spent, returned
	AmountMinor int64  // positive
	ReferenceID string
	Reason      string // for the record; may be empty
	At          time.Time
}

// Budgets keeps the envelopes.
type Budgets interface {
	// InsertBudget writes a new budget with its first movement.
	InsertBudget(ctx context.Context, b Budget, m Movement) error
	// Budget reads one. Errors: NOT_FOUND.
	Budget(ctx context.Context, t tenancy.Tenant, budgetID string) (Budget, error)
	// Funds reads what budgets can still pay at now; unknown ones are left out.
	Funds(ctx context.Context, t tenancy.Tenant, budgetIDs []string, now time.Time) ([]Funds, error)
	// MoveBudget carries out m and returns the budget before and after. A
	// commitment that the cap or the window does not allow changes nothing and
	// gives BUDGET_EXHAUSTED. Of any number of concurrent movers the cap holds.
	// after.LowTold is set by the first move that leaves the budget low.
	MoveBudget(ctx context.Context, t tenancy.Tenant, m Move) (before, after Budget, err error)
	// Budgets pages budgets, latest first.
	Budgets(ctx context.Context, t tenancy.Tenant, f BudgetFilter) ([]Budget, error)
	// AdjustBudget sets a new cap and returns the budget before and after. Of any
	// number of concurrent movers the cap is never below what is committed and
	// spent. A cap that is the same writes no movement.
	// Errors: NOT_FOUND, and those of Budget.Adjust.
	AdjustBudget(ctx context.Context, t tenancy.Tenant, a Adjustment) (before, after Budget, err error)
	// Movements pages the movements of a budget, latest first, older than
	// position before (0 for the latest).
	Movements(ctx context.Context, t tenancy.Tenant, budgetID string, before int64, limit int) ([]Movement, error)
}

// Proposals keeps one-off incentives.
type Proposals interface {
	// InsertProposal writes a new proposal.
	InsertProposal(ctx context.Context, p Proposal) error
	// Proposal reads one. Errors: NOT_FOUND.
	Proposal(ctx context.Context, t tenancy.Tenant, proposalID string) (Proposal, error)
	// LockProposal is Proposal, held until the transaction ends. A session that
	// it is for is locked before it, wallets and budgets after. Errors: NOT_FOUND.
	LockProposal(ctx context.Context, t tenancy.Tenant, proposalID string) (Proposal, error)
	// DecideProposal writes what became of a locked one that is open.
	// Errors: STATE_CONFLICT.
	DecideProposal(ctx context.Context, p Proposal) error
	// ListProposals pages proposals, latest first.
	ListProposals(ctx context.Context, t tenancy.Tenant, f ProposalFilter) ([]Proposal, error)
	// ExpireProposals ends up to limit open ones that are past their end at now,
	// of any tenant, passing by those that others hold, and returns them.
	ExpireProposals(ctx context.Context, now time.Time, limit int) ([]Proposal, error)
	// InsertOneOff writes an offer that no catalogue knows, with its only version.
	InsertOneOff(ctx context.Context, o Offer) error
}

// Store is everything this module keeps.
type Store interface {
	Definitions
	Applications
	Budgets
	Proposals
}
