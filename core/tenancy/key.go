package tenancy

import (
	"crypto/sha256"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/feddi/feddi/core/fault"
)

// KeyStatus is whether a key still opens anything.
type KeyStatus string

// The key statuses. A revoked key stays for audit and refuses every call.
const (
	KeyActive  KeyStatus = "active"
	KeyRevoked KeyStatus = "revoked"
)

// APIKey is an integration key as it is kept: what it may do, and the hash of
// the raw key, which is shown once and stored nowhere.
type APIKey struct {
	ID        string
	PartnerID string
	Mode      Mode
	// Hash is SHA-256 of the raw key. The raw key has 256 random bits, so it
	// needs no salt and no slow hash.
	Hash [32]byte
	// Prefix is the beginning of the raw key: enough to tell keys apart, too
	// little to use one.
	Prefix   string
	Name     string // for people, may be empty
	Scope    Scope
	Operator bool
	// Merchants the key acts for: none for a platform key, which acts for all
	// of its partner's, and one or more for every other scope.
	Merchants []string
	// BrandID is set for the scopes brand and branch, BranchID for branch.
	BrandID, BranchID string
	Status            KeyStatus
	// ReplacedBy is the key that a regeneration put in its place.
	ReplacedBy string
	CreatedAt  time.Time
	LastUsedAt *time.Time // exact to about a minute; nil where it never was
	RevokedAt  *time.Time
}

// Reach is how far the key reaches.
func (k APIKey) Reach() Reach {
	return Reach{
		PartnerID: k.PartnerID, Mode: k.Mode, Scope: k.Scope, Merchants: k.Merchants,
		BrandID: k.BrandID, BranchID: k.BranchID, Operator: k.Operator,
	}
}

// Validate checks that scope and place fit together. Errors: VALIDATION_FAILED
// naming the field.
func (k APIKey) Validate() error {
	switch k.Scope {
	case ScopePlatform:
		return k.fits(len(k.Merchants) == 0, "context.merchant_id", k.BrandID == "", k.BranchID == "")
	case ScopeEnterprise:
		return k.fits(len(k.Merchants) > 0, "context.merchant_id", k.BrandID == "", k.BranchID == "")
	case ScopeBrand:
		return k.fits(len(k.Merchants) == 1 && k.BrandID != "", "brand_id", true, k.BranchID == "")
	case ScopeBranch:
		return k.fits(len(k.Merchants) == 1 && k.BranchID != "", "branch_id", true, true)
	}
	return fault.Field(fault.CodeValidationFailed, "scope", "known", "scope must be platform, enterprise, brand or branch")
}

// fits names the field at fault: a place that the scope has no use for, or else
// the field that decides (placed says whether it is as the scope needs it).
func (k APIKey) fits(placed bool, field string, brand, branch bool) error {
	switch {
	case !branch:
		field = "branch_id"
	case !brand:
		field = "brand_id"
	case placed:
		return nil
	case k.Scope != ScopePlatform:
		return fault.Field(fault.CodeValidationFailed, field, "required", "a key of scope %s needs %s", k.Scope, field)
	}
	return fault.Field(fault.CodeValidationFailed, field, "within_scope",
		"a key of scope %s reaches further than one %s; leave it out or ask for a narrower scope", k.Scope, field)
}

// The beginnings of raw keys.
const (
	testMark = "fddi_test_"
	liveMark = "fddi_live_"
	// secretDigits holds 32 bytes in base 62.
	secretDigits = 43
	prefixLength = len(testMark) + 4
)

// NewRawKey makes a raw key of mode with 32 random bytes, for example
// "fddi_test_7Qm2...". Errors: what random returns.
func NewRawKey(random io.Reader, mode Mode) (string, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", err
	}
	digits := new(big.Int).SetBytes(secret[:]).Text(62)
	mark := testMark
	if mode == Production {
		mark = liveMark
	}
	return mark + strings.Repeat("0", secretDigits-len(digits)) + digits, nil
}

// ModeOfKey reads the mode off a raw key; false where raw has not even the
// form of one, so that no look-up is worth while.
func ModeOfKey(raw string) (Mode, bool) {
	mode := Sandbox
	secret, ok := strings.CutPrefix(raw, testMark)
	if !ok {
		mode = Production
		secret, ok = strings.CutPrefix(raw, liveMark)
	}
	return mode, ok && len(secret) == secretDigits
}

// HashKey is what is stored of a raw key.
func HashKey(raw string) [32]byte { return sha256.Sum256([]byte(raw)) }

// KeyPrefix is what is shown of a raw key after the one time it is shown whole.
func KeyPrefix(raw string) string { return raw[:min(len(raw), prefixLength)] }
