package checkout

import (
	"context"

	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps sessions, baskets and transactions. Every method is bounded by
// the tenant.
type Store interface {
	// Session reads one session. Errors: NOT_FOUND.
	Session(ctx context.Context, t tenancy.Tenant, id string) (Session, error)
	// Insert writes a new session with Version 1.
	Insert(ctx context.Context, s Session) error
	// Save writes s where its stored version is still s.Version, and returns it
	// with the version raised. Errors: STATE_CONFLICT where another writer was
	// faster (the caller reads again and decides anew).
	Save(ctx context.Context, s Session) (Session, error)
	// Basket reads a revision; 0 means the latest. Errors: NOT_FOUND.
	Basket(ctx context.Context, t tenancy.Tenant, sessionID string, revision int64) (Basket, error)
	// AddBasket writes the next revision.
	AddBasket(ctx context.Context, t tenancy.Tenant, b Basket) error
}
