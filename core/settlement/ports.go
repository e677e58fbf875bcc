package settlement

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps all of settlement. Every method is bounded by the tenant, but for
// those of the background (Gathering, Due), which serve all tenants.
type Store interface {
	Deposits
	Reports
	Gathering
	Batches
	Runs
}

// Mark is where a row stands in a list ordered by time and id.
type Mark struct {
	At time.Time
	ID string
}

// DepositFilter narrows a list of deposits, latest completed first.
type DepositFilter struct {
	Stage                        Progress // empty for all
	CompletedFrom, CompletedTill *time.Time
	After                        Mark // the last of the page before
	Limit                        int
}

// Deposits reads and marks credited top-ups.
type Deposits interface {
	// LockDeposits reads top-ups by id in any state and locks them until the
	// transaction ends, in the order of their ids. Unknown ones are left out.
	LockDeposits(ctx context.Context, t tenancy.Tenant, ids []string) ([]Deposit, error)
	// LockReferences is LockDeposits by the provider's references, of credited
	// top-ups in one currency.
	LockReferences(ctx context.Context, t tenancy.Tenant, provider, currency string, references []string) ([]Deposit, error)
	// MarkDeposits writes what was reported of deposits, and marks the ready
	// batches that are settled by it.
	MarkDeposits(ctx context.Context, t tenancy.Tenant, changed []Deposit, now time.Time) error
	// ListDeposits lists credited top-ups.
	ListDeposits(ctx context.Context, t tenancy.Tenant, f DepositFilter) ([]Deposit, error)
}

// Reports keeps what providers reported.
type Reports interface {
	// InsertReport writes a report with the results of its lines. Errors:
	// DUPLICATE_REFERENCE.
	InsertReport(ctx context.Context, r Report, fits []Fit) error
	// RecordCallback keeps a callback that credited nothing. One that is repeated
	// is kept once.
	RecordCallback(ctx context.Context, c Callback) error
}

// Gathered is how far the entries are folded into batches.
type Gathered struct {
	// At is the time before which everything is gathered.
	At time.Time
	// Behind is true where more can be gathered at once.
	Behind bool
}

// Gathering folds entries into the lines of batches. Only one transaction
// gathers at a time.
type Gathering interface {
	// Fresh locks the gathering, reads up to limit further entries in the order in
	// which they can be seen, moves past them, and returns their lines. now is
	// when it was asked.
	Fresh(ctx context.Context, now time.Time, limit int) ([]Fresh, Gathered, error)
	// OpenBatches returns the batches of the slots, those of them that are not
	// there opened. Only ID, State and period are filled.
	OpenBatches(ctx context.Context, wanted []Batch) (map[Slot]Batch, error)
	// AddLines puts lines into batches and adds them to their sums.
	AddLines(ctx context.Context, batchOf map[string][]Fresh) error
	// CloseDue makes up to limit open batches ready whose period ended at or
	// before an instant, and returns them.
	CloseDue(ctx context.Context, endedBy, now time.Time, limit int) ([]Batch, error)
	// GatheredAt is Gathered.At as last stored.
	GatheredAt(ctx context.Context) (time.Time, error)
}

// BatchFilter narrows a list of batches, latest period first.
type BatchFilter struct {
	State                 BatchState // empty for all
	BrandID               string     // empty for all
	EndsAfter, StartsTill *time.Time
	After                 Mark // the last of the page before
	Limit                 int
}

// Batches reads batches.
type Batches interface {
	// Batch reads one with its sums. Errors: NOT_FOUND.
	Batch(ctx context.Context, t tenancy.Tenant, id string) (Batch, error)
	// ListBatches lists batches with their sums.
	ListBatches(ctx context.Context, t tenancy.Tenant, f BatchFilter) ([]Batch, error)
	// BatchLines lists a batch's lines, oldest first, behind a mark whose ID is
	// Line.Key.
	BatchLines(ctx context.Context, t tenancy.Tenant, batchID string, after Mark, limit int) ([]Line, error)
}

// Runs keeps comparisons and what they are made from.
type Runs interface {
	// Unhurried lets the statements of this transaction take a minute each.
	Unhurried(ctx context.Context) error
	InsertRun(ctx context.Context, r Run) error
	// SaveRun ends one that is running; false where it is not.
	SaveRun(ctx context.Context, r Run) (bool, error)
	// Run reads one. Errors: NOT_FOUND.
	Run(ctx context.Context, t tenancy.Tenant, id string) (Run, error)
	// DueRuns claims up to limit running ones until a lease ends.
	DueRuns(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Run, error)
	// LedgerTotal adds up an item over a part of the run's period.
	LedgerTotal(ctx context.Context, r Run, item Item, from, till time.Time) (Total, error)
	// DifferencesOf compares the movements that the partner listed of an item,
	// which InsertRun stored, with the ledger's: up to limit of those that do not
	// agree, by reference, and how many there are.
	DifferencesOf(ctx context.Context, r Run, item Item, limit int) ([]Difference, int64, error)
}
