package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// TopupState is where a deposit stands.
type TopupState string

// The top-up states. PENDING has credited nothing; COMPLETED has; FAILED and
// EXPIRED never will; REVERSED was undone.
const (
	TopupPending   TopupState = "PENDING"
	TopupCompleted TopupState = "COMPLETED"
	TopupReversed  TopupState = "REVERSED"
	TopupFailed    TopupState = "FAILED"
	TopupExpired   TopupState = "EXPIRED"
)

// TopupSource is how a deposit came.
type TopupSource string

// The sources of a top-up.
const (
	TopupByProvider TopupSource = "provider"
	TopupBySKU      TopupSource = "sku"
)

// PendingLife is how long a prepared top-up may be confirmed.
const PendingLife = 30 * time.Minute

// Topup is one deposit into a wallet.
type Topup struct {
	ID          string
	Tenant      tenancy.Tenant
	CustomerID  string
	SessionID   string // empty outside of sessions
	State       TopupState
	AmountMinor int64
	Currency    string
	// BonusMinor is what the deposit earned; while PENDING what it would earn now.
	BonusMinor int64
	GrantID    string // the bonus, empty where none
	EntryID    string // the deposit's entry, empty while PENDING
	Source     TopupSource
	SKUID      string // for a SKU
	Quantity   int32  // units of the SKU, 0 for a provider
	Provider   string // for a provider
	// Artifact is what the provider needs shown to the customer, a JSON object.
	Artifact    json.RawMessage
	Reference   string // the provider's settlement reference
	ExpiresAt   *time.Time
	CreatedAt   time.Time
	CompletedAt *time.Time
	ReversedAt  *time.Time
	// How it was undone: what could be taken back of actual money and of the
	// bonus, by which contra entry (empty where no actual money was left), why.
	ReversedActualMinor, ReversedBonusMinor       int64
	ReversalEntryID, ReversalReason, ReversalNote string
}

// ProviderFor is the payment provider of a currency (rule 41): the partner
// never chooses it.
func ProviderFor(currency string) string {
	if currency == "QAR" {
		return "sadad"
	}
	return "stripe"
}

// Confirm turns PENDING into COMPLETED with the provider's reference.
// Errors: STATE_CONFLICT for any other state and past the expiry.
func (t Topup) Confirm(reference string, now time.Time) (Topup, error) {
	if t.State == TopupPending && t.ExpiresAt != nil && !now.Before(*t.ExpiresAt) {
		t.State = TopupExpired
	}
	if t.State != TopupPending {
		return t, fault.Field(fault.CodeStateConflict, "topup_id", "topup_pending",
			"the top-up is %s; only a PENDING one can be confirmed: prepare a new one", t.State)
	}
	t.State, t.Reference, t.CompletedAt, t.ExpiresAt, t.Artifact = TopupCompleted, reference, &now, nil, nil
	return t, nil
}

// Reverse turns COMPLETED into REVERSED, of which actualMinor is what can be
// taken back of the deposit: what is not spent. allowPartial takes that where it
// is less than the whole; a wallet is never overdrawn.
// Errors: STATE_CONFLICT for any other state, and where part of the deposit is
// spent, which names what is left.
func (t Topup) Reverse(walletMinor int64, allowPartial bool, now time.Time) (Topup, error) {
	switch t.State {
	case TopupCompleted:
	case TopupReversed:
		return t, fault.Field(fault.CodeStateConflict, "topup_id", "not_reversed", "the top-up was reversed already")
	case TopupPending:
		return t, fault.Field(fault.CodeStateConflict, "topup_id", "topup_completed",
			"the top-up is PENDING: nothing was credited, and it expires by itself")
	case TopupFailed, TopupExpired:
		return t, fault.Field(fault.CodeStateConflict, "topup_id", "topup_completed", "the top-up is %s: nothing was credited", t.State)
	}
	if walletMinor < t.AmountMinor && !allowPartial {
		return t, fault.Field(fault.CodeStateConflict, "topup_id", "actual_unspent",
			"the top-up credited %d minor units and only %d of actual money are left in the wallet; nothing was taken; set allow_partial to take back what is left",
			t.AmountMinor, walletMinor).With("spendable_actual_minor", "actual_left", fmt.Sprint(walletMinor))
	}
	t.ReversedActualMinor = min(t.AmountMinor, walletMinor)
	t.State, t.ReversedAt = TopupReversed, &now
	return t, nil
}

// Tier is one step of the reload bonus, in one currency.
type Tier struct {
	MinTopupMinor int64
	BonusMinor    int64
	ExpiryDays    int // days until the bonus expires; 0 means never
}

// Tiers are a merchant's reload bonus in one currency.
type Tiers struct {
	Currency  string
	Steps     []Tier // smallest deposit first
	Revision  int32  // times they were set; 0 where they never were
	UpdatedAt *time.Time
}

// Earned is the highest tier that a deposit reaches; false where none.
func (t Tiers) Earned(amountMinor int64) (Tier, bool) {
	var best Tier
	found := false
	for _, s := range t.Steps {
		if s.MinTopupMinor <= amountMinor && (!found || s.MinTopupMinor > best.MinTopupMinor) {
			best, found = s, true
		}
	}
	return best, found
}

// SKU is an article that tops up a wallet when it is sold at the till.
type SKU struct {
	ID         string
	Tenant     tenancy.Tenant
	Name       string
	ValueMinor int64
	BonusMinor int64 // 0 for none
	ExpiryDays int   // days until the bonus expires; 0 means never
	Currency   string
	Active     bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// ExpiryAfter is the instant days after now, or nil for 0 days.
func ExpiryAfter(now time.Time, days int) *time.Time {
	if days <= 0 {
		return nil
	}
	at := now.AddDate(0, 0, days)
	return &at
}
