package identity

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// LockReason says why a grant stays LOCKED.
type LockReason string

// The reasons.
const (
	NotVerified     LockReason = "NOT_VERIFIED"
	ClaimGateNotMet LockReason = "CLAIM_GATE_NOT_MET"
	CustomerOff     LockReason = "DISABLED"
)

// Claim is one re-drive of a customer's LOCKED grants, as it was.
type Claim struct {
	ID         string
	Tenant     tenancy.Tenant
	CustomerID string
	Released   []string // grant ids
	Locked     []LockedGrant
	CreatedAt  time.Time
}

// LockedGrant is a grant that a re-drive left LOCKED.
type LockedGrant struct {
	GrantID string
	Reason  LockReason
}

// StaysLocked is why grants of a customer stay LOCKED where the wallet does
// not qualify (rule 26).
func (c Customer) StaysLocked() LockReason {
	switch {
	case c.Status != Active:
		return CustomerOff
	case c.State != Verified:
		return NotVerified
	}
	return ClaimGateNotMet
}
