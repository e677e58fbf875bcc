package dispute

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Filter narrows a list of disputes; zero members do not, but for Before.
type Filter struct {
	State                     State
	TransactionID, CustomerID string
	// Reach leaves out what a brand's or branch's credential does not see.
	Reach tenancy.Place
	// Before leaves out what is not before (Before, BeforeID), latest first.
	Before   time.Time
	BeforeID string
	Limit    int
}

// Store keeps disputes. Every method is bounded by the tenant.
type Store interface {
	// Insert writes a new one. Errors: STATE_CONFLICT where its sale has an open
	// one, whoever opened it at the same moment.
	Insert(ctx context.Context, d Dispute) error
	// Dispute reads one. Errors: NOT_FOUND.
	Dispute(ctx context.Context, t tenancy.Tenant, id string) (Dispute, error)
	// Lock is Dispute, held until the transaction ends. Errors: NOT_FOUND.
	Lock(ctx context.Context, t tenancy.Tenant, id string) (Dispute, error)
	// SaveResolved writes how a locked one ended.
	SaveResolved(ctx context.Context, d Dispute) error
	// List lists, latest first.
	List(ctx context.Context, t tenancy.Tenant, f Filter) ([]Dispute, error)
}
