// Package tenancy knows who exists (partners, merchants, brands, branches,
// terminals), who may call (keys, terminal tokens) and for whom. Its boundary,
// (partner, mode, merchant), is a column and a condition of every statement.
package tenancy

import "time"

// Mode parts test data from live data; one never sees the other.
type Mode string

// The modes.
const (
	Sandbox    Mode = "sandbox"
	Production Mode = "production"
)

// Tenant is the boundary of every row.
type Tenant struct {
	PartnerID  string
	Mode       Mode
	MerchantID string
	// No stands for the three above in the database: one small column,
	// tenant_no, on every row and in every statement. Zero is no tenant.
	No int32
}

// Scope is how far a key reaches; the most specific one wins.
type Scope string

// The scopes, widest first.
const (
	ScopePlatform   Scope = "platform"
	ScopeEnterprise Scope = "enterprise"
	ScopeBrand      Scope = "brand"
	ScopeBranch     Scope = "branch"
)

// CredentialKind tells the two credentials of the API apart.
type CredentialKind string

// The kinds of credential a call may carry.
const (
	NoCredential CredentialKind = "none"
	KeyCall      CredentialKind = "key"
	TerminalCall CredentialKind = "terminal"
)

// Actor is the verified caller.
type Actor struct {
	Kind      CredentialKind
	PartnerID string
	Mode      Mode
	KeyID     string // the key itself, or the key a terminal token came from
	Scope     Scope
	// Operator is true where the key carries operator authority; sandbox keys
	// do inside their own sandbox. Never true for a terminal.
	Operator bool
	// Merchants the key is authorised for; a terminal has exactly one. Shared
	// between calls: never changed.
	Merchants []string
	// TenantNos are the tenant numbers of Merchants, in the same order.
	TenantNos []int32
	// BrandID and BranchID narrow the scope; empty means not narrowed.
	BrandID, BranchID string
	// TerminalID is set for a terminal token.
	TerminalID string
	// TokenID and TokenExpires are set for a terminal token.
	TokenID      string
	TokenExpires time.Time
}

// May reports whether the actor is authorised for merchant.
func (a Actor) May(merchant string) bool {
	for _, m := range a.Merchants {
		if m == merchant {
			return true
		}
	}
	return false
}

// ClaimGate is the merchant's second condition, beside verification, for
// releasing LOCKED grants (rule 26).
type ClaimGate string

// The claim gates.
const (
	GateOnVerification  ClaimGate = "on_verification"
	GateOnFirstTopup    ClaimGate = "on_first_topup"
	GateOnFirstPurchase ClaimGate = "on_first_purchase"
)

// Settings are the merchant's own choices. Stored as one JSON document;
// unknown members are kept.
type Settings struct {
	Currencies         []string  `json:"currencies"`                 // enabled ISO 4217 codes, first is the default
	TimeZone           string    `json:"time_zone"`                  // IANA name; offers' days and hours are in it
	Country            string    `json:"country"`                    // ISO 3166 region for phone numbers without +
	ClaimGate          ClaimGate `json:"claim_gate"`                 // default on_verification
	CashbackBP         int64     `json:"cashback_bp"`                // basis points of the total, 0 to 10000
	CashbackExpiryDays int       `json:"cashback_expiry_days"`       // 0 means never
	BonusExpiryDays    int       `json:"bonus_expiry_days"`          // 0 means never
	PointsExpiryDays   int       `json:"points_expiry_days"`         // 0 means never
	CodeTTLMinutes     int       `json:"code_ttl_minutes"`           // life of qr and short_code, 1 to 15, default 10
	SessionTTLMinutes  int       `json:"session_ttl_minutes"`        // default 60
	MinPaymentMinor    int64     `json:"min_payment_minor"`          // 0 means the contract's 1
	TerminalMayMint    bool      `json:"terminal_may_mint"`          // production: may a terminal mint payment codes
	RefundGraceDays    int       `json:"refund_grace_days"`          // expiry given to restored lots that lapsed, default 7
	CredentialTypes    []string  `json:"supported_credential_types"` // enabled credential types
	MaxStackedOffers   int       `json:"max_stacked_offers"`         // 0 means no limit
}

// Merchant is an enterprise: the unit in which customers and balances live.
type Merchant struct {
	ID        string
	PartnerID string
	Mode      Mode
	TenantNo  int32
	Name      string
	// Reference is the partner's own id, unique for an integration in one mode; may be empty.
	Reference string
	Status    string // active, suspended
	Settings  Settings
	CreatedAt time.Time
}

// Tenant is the merchant's boundary.
func (m Merchant) Tenant() Tenant {
	return Tenant{PartnerID: m.PartnerID, Mode: m.Mode, MerchantID: m.ID, No: m.TenantNo}
}

// MerchantActive is the status of a merchant that may be acted for.
const MerchantActive = "active"

// Partner is an integration: who holds keys.
type Partner struct {
	ID, Name string
	// Sandbox marks a partner that exists for one sandbox and goes with it.
	Sandbox   bool
	CreatedAt time.Time
}

// Brand groups branches of a merchant.
type Brand struct {
	ID, MerchantID, Name string
	Reference            string // the partner's own id, unique for the merchant; may be empty
	CreatedAt            time.Time
}

// Branch is a location.
type Branch struct {
	ID, MerchantID, BrandID, Name string
	Reference                     string // the partner's own id, unique for the merchant; may be empty
	Address                       string // postal, on one line; may be empty
	CreatedAt                     time.Time
}
