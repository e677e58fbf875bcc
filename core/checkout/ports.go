package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps sessions, baskets and transactions. Every method is bounded by
// the tenant, but for the two that background work claims with.
type Store interface {
	Sessions
	TillEvents
	Transactions
	Rulings
	Reports
}

// Sessions keeps sessions and their baskets.
type Sessions interface {
	// Session reads one session. Errors: NOT_FOUND.
	Session(ctx context.Context, t tenancy.Tenant, id string) (Session, error)
	// Lock is Session, held until the transaction ends: nobody else changes it
	// meanwhile. Only inside UnitOfWork.Do, and never across a call to another
	// process. It is the first lock that a transaction takes after the
	// idempotency record. Errors: NOT_FOUND.
	Lock(ctx context.Context, t tenancy.Tenant, id string) (Session, error)
	// Insert writes a new session with Version 1.
	Insert(ctx context.Context, s Session) error
	// Save writes s where its stored version is still s.Version, and returns it
	// with the version raised. Errors: STATE_CONFLICT where another writer was
	// faster (the caller reads again and decides anew).
	Save(ctx context.Context, s Session) (Session, error)
	// Basket reads a revision; 0 means the latest. Errors: NOT_FOUND.
	Basket(ctx context.Context, t tenancy.Tenant, sessionID string, revision int64) (Basket, error)
	// Baskets reads up to limit revisions after a revision, oldest first.
	Baskets(ctx context.Context, t tenancy.Tenant, sessionID string, after int64, limit int) ([]Basket, error)
	// Sessions lists, latest opened first.
	Sessions(ctx context.Context, t tenancy.Tenant, f SessionFilter) ([]Session, error)
	// SampleSessions lists sessions that were decided offers for, in the order in
	// which they were opened; more says that others fit, too. Those beyond the
	// limit are left out evenly over the time.
	SampleSessions(ctx context.Context, t tenancy.Tenant, f Sample) (ids []string, more bool, err error)
	// OpenAt lists the ids of up to limit sessions that are open at a terminal at
	// now, latest opened first.
	OpenAt(ctx context.Context, t tenancy.Tenant, terminalID string, now time.Time, limit int) ([]string, error)
	// AddBasket writes the next revision. Errors: REVISION_CONFLICT where that
	// revision is there already.
	AddBasket(ctx context.Context, t tenancy.Tenant, b Basket) error
	// ClaimExpired locks the open session that has been over longest at now,
	// until the transaction ends, passing by those that others hold and those up
	// to and including after; nil where there is none.
	ClaimExpired(ctx context.Context, now time.Time, after Due) (*Session, error)
}

// TillEvents keeps what tills saw in sessions.
type TillEvents interface {
	// AddTillEvent writes one, and says false, writing nothing, where the session
	// has most of them already.
	AddTillEvent(ctx context.Context, t tenancy.Tenant, e TillEvent, most int) (written bool, err error)
	// TillEvents lists those of a session.
	TillEvents(ctx context.Context, t tenancy.Tenant, sessionID string) ([]TillEvent, error)
}

// SessionFilter narrows a list of sessions; zero members do not, but for Before.
type SessionFilter struct {
	// State is judged at Now: an open session past its expiry is expired.
	State                            State
	Now                              time.Time
	BranchID, TerminalID, CustomerID string
	// Reach leaves out what a brand's or branch's credential does not see (see
	// Within).
	Reach                    tenancy.Place
	OpenedFrom, OpenedBefore *time.Time
	// Before leaves out what is not before (Before, BeforeID); a time far ahead
	// begins at the latest.
	Before   time.Time
	BeforeID string
	Limit    int
}

// Sample selects sessions by when they were opened.
type Sample struct {
	From, Before time.Time     // opened at From or later, before Before
	BranchID     string        // empty for any
	Reach        tenancy.Place // what a brand's or branch's credential sees
	Limit        int           // 1 to 1000
}

// Due orders sessions by when they are over. The zero value is before all.
type Due struct {
	ExpiresAt time.Time
	SessionID string
}

// Filter narrows a list of transactions; zero members do not.
type Filter struct {
	// IncludeUnidentified lists sales nobody identified in, too (rule 57).
	IncludeUnidentified                         bool
	Status                                      Status
	BranchID, TerminalID, CustomerID, SessionID string
	// Reach leaves out what a brand's or branch's credential does not see
	// (see Within).
	Reach                      tenancy.Place
	CreatedFrom, CreatedBefore *time.Time
	// After is the last transaction of the page before; the zero value for the first.
	After Position
	Limit int
}

// Position is a place in a list of transactions, latest first. Sales made
// later stand before it, so that a list is stable while it is paged.
type Position struct {
	CreatedAt     time.Time
	TransactionID string
}

// ErrRecorded says that the sale has a transaction already: its session was
// closed, or one of its payments belongs to another transaction.
var ErrRecorded = errors.New("checkout: the sale is recorded already")

// Transactions keeps the immutable records.
type Transactions interface {
	// Record writes sales, of any tenants, and gives each the next receipt number
	// of its branch, in ts itself. Errors: ErrRecorded; the surrounding
	// transaction is then void.
	Record(ctx context.Context, ts ...*Transaction) error
	// Transaction reads one with its rulings. Errors: NOT_FOUND.
	Transaction(ctx context.Context, t tenancy.Tenant, id string) (Transaction, error)
	// TransactionOfPayment is the id of the transaction that a payment belongs
	// to; empty where there is none yet.
	TransactionOfPayment(ctx context.Context, t tenancy.Tenant, paymentID string) (string, error)
	// BranchName is what a branch is called; empty for one that is gone.
	BranchName(ctx context.Context, t tenancy.Tenant, branchID string) (string, error)
	// SaveStanding writes where t stands, as t.Standing says.
	SaveStanding(ctx context.Context, t Transaction) error
	// AddVoid writes the void of a transaction and where that leaves it.
	// Errors: STATE_CONFLICT where it has one.
	AddVoid(ctx context.Context, t Transaction, v Void) error
	// Void reads the void of a transaction. Errors: NOT_FOUND.
	Void(ctx context.Context, t tenancy.Tenant, transactionID string) (Void, error)
	// Transactions lists, latest first, without lines and offers.
	Transactions(ctx context.Context, t tenancy.Tenant, f Filter) ([]Transaction, error)
}

// Reports keeps what partners report about sales.
type Reports interface {
	// LockReport reads the report of a sale, an empty one with this id and time
	// where there is none yet, and holds it until the transaction ends.
	LockReport(ctx context.Context, t tenancy.Tenant, transactionID, id string, now time.Time) (AttributionReport, error)
	// Report reads the report of a sale; nil where there is none.
	Report(ctx context.Context, t tenancy.Tenant, transactionID string) (*AttributionReport, error)
	// AddExposures writes new exposures of a locked report.
	AddExposures(ctx context.Context, t tenancy.Tenant, transactionID string, more []Exposure) error
}

// ErrDecided says that somebody else took the decision meanwhile.
var ErrDecided = errors.New("checkout: the ruling is decided already")

// Rulings keeps what is decided about sales.
type Rulings interface {
	// AddRulings writes new ones, pending (due at once) or decided.
	AddRulings(ctx context.Context, rulings ...Ruling) error
	// Decide writes the outcome of a pending one. Errors: ErrDecided.
	Decide(ctx context.Context, r Ruling) error
	// CancelPending decides the pending ones about a transaction as refused: its
	// sale was voided.
	CancelPending(ctx context.Context, t tenancy.Tenant, transactionID string, now time.Time) error
	// Ruling reads the one of kind about a transaction. Errors: NOT_FOUND.
	Ruling(ctx context.Context, t tenancy.Tenant, transactionID string, kind actuation.Kind) (Ruling, error)
	// ClaimPending leases up to limit pending ones of a mode that are due at now, so
	// that no other worker has them for a while: lease at first, twice as long with
	// every attempt, at most longest. One that is not decided meanwhile is due
	// again when its lease ends.
	ClaimPending(ctx context.Context, mode tenancy.Mode, now time.Time, lease, longest time.Duration, limit int) ([]Ruling, error)
}
