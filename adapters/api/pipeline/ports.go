package pipeline

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Authenticator verifies credentials. Errors are faults of status 401
// (UNAUTHENTICATED, API_KEY_REVOKED, TOKEN_EXPIRED, TOKEN_REVOKED) or 503.
type Authenticator interface {
	// Key verifies a raw key of the x-api-key header.
	Key(ctx context.Context, raw string) (tenancy.Actor, error)
	// Terminal verifies a terminal token (a JWT) of the Authorization header.
	Terminal(ctx context.Context, token string) (tenancy.Actor, error)
}

// Limiter says whether one more call may pass now. Keys are KeyLimit or
// SandboxLimit followed by who is limited.
type Limiter interface {
	// Allow takes one permit of key's budget. Where there is none, retryAfter is
	// when the next one comes.
	Allow(key string) (ok bool, retryAfter time.Duration)
}

// Prefixes of a limiter's keys.
const (
	// KeyLimit counts the requests of one API key, those of its terminal tokens included.
	KeyLimit = "key:"
	// SandboxLimit counts the sandboxes made from one address.
	SandboxLimit = "sandbox:"
)

// Place is where a call happens, inside a merchant. Empty members are not given.
type Place struct{ BrandID, BranchID, TerminalID string }

// Places knows the merchants' brands, branches and terminals.
type Places interface {
	// Resolve verifies that what p names exists, belongs to tenant's merchant and
	// hangs together, and fills in what follows from it: a terminal's branch, a
	// branch's brand. Otherwise fault.NotFound of "brand", "branch" or "terminal".
	Resolve(ctx context.Context, tenant tenancy.Tenant, p Place) (Place, error)
}
