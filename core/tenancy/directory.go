package tenancy

import "context"

// Directory reads merchants and places. Implementations cache: it is asked on
// every call, also on the payment path, and must not cost a query there. A
// change of settings is seen within a second.
type Directory interface {
	// Merchant returns the merchant. Errors: NOT_FOUND.
	Merchant(ctx context.Context, merchantID string) (Merchant, error)
	// Place verifies that the given ids (any may be empty) exist and belong to
	// the merchant and to one another, and fills in what follows: a terminal
	// implies its branch, a branch its brand. Errors: NOT_FOUND naming the field.
	Place(ctx context.Context, merchantID, brandID, branchID, terminalID string) (Place, error)
	// Terminal is a terminal of t, but for what heartbeats change. Errors: NOT_FOUND.
	Terminal(ctx context.Context, t Tenant, terminalID string) (Terminal, error)
}

// Place is where in a merchant something happens.
type Place struct{ BrandID, BranchID, TerminalID string }
