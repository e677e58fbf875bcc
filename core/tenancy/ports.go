package tenancy

import (
	"context"
	"time"
)

// Store keeps partners, their merchants and places, and their keys. Every
// statement on keys is bounded by partner and mode.
type Store interface {
	Enterprises
	Terminals
	Keys
	Tokens
}

// Enterprises keeps partners, merchants and places.
type Enterprises interface {
	AddPartner(ctx context.Context, p Partner) error
	// Partner reads one. Errors: NOT_FOUND.
	Partner(ctx context.Context, id string) (Partner, error)
	// AddMerchant writes a new merchant and returns it with its tenant number.
	// Errors: DUPLICATE_REFERENCE.
	AddMerchant(ctx context.Context, m Merchant) (Merchant, error)
	// SaveSettings replaces what s knows; unknown members of the stored document
	// stay. Errors: NOT_FOUND.
	SaveSettings(ctx context.Context, t Tenant, s Settings) error
	AddBrand(ctx context.Context, t Tenant, b Brand) error
	AddBranch(ctx context.Context, t Tenant, b Branch) error
	// AddPlaces writes brands, branches and terminals of a merchant, each list in
	// one statement. Errors: DUPLICATE_REFERENCE.
	AddPlaces(ctx context.Context, t Tenant, p Places) error
	// Merchants counts those of a partner in one mode. Until the transaction
	// ends nobody else counts them.
	Merchants(ctx context.Context, o Owner) (int, error)
	// IdleSandboxes lists up to limit sandbox partners that were made before
	// idleSince and of whose keys none was used since.
	IdleSandboxes(ctx context.Context, idleSince time.Time, limit int) ([]string, error)
	// EraseSandbox deletes a sandbox partner and every row of its tenants, in
	// every table. A partner that is no sandbox is left alone: NOT_FOUND.
	EraseSandbox(ctx context.Context, partnerID string) error
}

// Places are brands, branches and terminals to be written.
type Places struct {
	Brands    []Brand
	Branches  []Branch
	Terminals []Terminal
}

// Terminals keeps tills.
type Terminals interface {
	// AddTerminal writes a new one. Errors: DUPLICATE_REFERENCE for a serial
	// number or reference that another one of the merchant has.
	AddTerminal(ctx context.Context, t Tenant, x Terminal) error
	// Terminal reads one. Errors: NOT_FOUND.
	Terminal(ctx context.Context, t Tenant, id string) (Terminal, error)
	// ListTerminals lists, latest registered first.
	ListTerminals(ctx context.Context, t Tenant, f TerminalFilter) ([]Terminal, error)
	// SetTerminalStatus changes one to active or retired; the tokens of a
	// retired terminal die. Errors: NOT_FOUND.
	SetTerminalStatus(ctx context.Context, t Tenant, id, status string) error
	// EndTokens ends every token that a terminal has now. Errors: NOT_FOUND.
	EndTokens(ctx context.Context, t Tenant, terminalID string) error
	// Seen records heartbeats by terminal id; times only move forward. It is for
	// background work of every tenant.
	Seen(ctx context.Context, beats map[string]Heartbeat) error
	// TillRevisions counts the changes of what tills keep; what never changed is
	// left out.
	TillRevisions(ctx context.Context, t Tenant) (map[TillSubject]int64, error)
}

// Owner is the boundary of keys, which belong to a partner and a mode.
type Owner struct {
	PartnerID string
	Mode      Mode
}

// KeyFilter narrows a list of keys.
type KeyFilter struct {
	Owner
	// Within leaves out every key that it does not cover.
	Within Reach
	// MerchantID leaves out the keys of other merchants, platform keys apart;
	// empty for all.
	MerchantID string
	Status     KeyStatus // empty for all
	// After is the id of the last key of the page before; empty for the first.
	After string
	Limit int
}

// Keys keeps API keys.
type Keys interface {
	AddKey(ctx context.Context, k APIKey) error
	// Key reads one. Errors: NOT_FOUND.
	Key(ctx context.Context, o Owner, id string) (APIKey, error)
	// ListKeys lists keys, latest first.
	ListKeys(ctx context.Context, f KeyFilter) ([]APIKey, error)
	// RevokeKey revokes an active key and returns it; replacedBy (may be empty)
	// is the key in its place. changed is false where it was revoked already,
	// and then nothing changes. Errors: NOT_FOUND.
	RevokeKey(ctx context.Context, o Owner, id, replacedBy string, now time.Time) (k APIKey, changed bool, err error)
	// DeleteKey deletes a record for good. Errors: NOT_FOUND.
	DeleteKey(ctx context.Context, o Owner, id string) error
}

// Tokens keeps the terminal tokens that were ended before their time.
type Tokens interface {
	// RevokeToken ends one; the record may go after expires. Ending it again
	// changes nothing.
	RevokeToken(ctx context.Context, o Owner, tokenID string, now, expires time.Time) error
	// SweepTokens deletes the records of tokens that expired before now, and
	// what every server has heard of the log of changes. Returns how many tokens.
	SweepTokens(ctx context.Context, now time.Time) (int, error)
}

// KeyStanding is a key with the merchants that it may act for now: those it
// names (for a platform key all of its partner's) that are active.
type KeyStanding struct {
	Key     APIKey
	Tenants []Tenant
}

// Actor is who calls with the key itself.
func (s KeyStanding) Actor() Actor {
	a := Actor{
		Kind: KeyCall, PartnerID: s.Key.PartnerID, Mode: s.Key.Mode, KeyID: s.Key.ID, Scope: s.Key.Scope,
		Operator: s.Key.Operator, BrandID: s.Key.BrandID, BranchID: s.Key.BranchID,
	}
	for _, t := range s.Tenants {
		a.Merchants = append(a.Merchants, t.MerchantID)
		a.TenantNos = append(a.TenantNos, t.No)
	}
	return a
}

// Credentials is what an authenticator asks of the database. It caches what it
// gets until a Change says otherwise.
type Credentials interface {
	// KeyByHash finds a key, revoked ones too; nil where there is none.
	KeyByHash(ctx context.Context, hash [32]byte) (*KeyStanding, error)
	// KeyByID is KeyByHash by id.
	KeyByID(ctx context.Context, o Owner, id string) (*KeyStanding, error)
	// TokenEnded reports whether a token was revoked or its terminal is gone or
	// retired.
	TokenEnded(ctx context.Context, c TokenClaims) (bool, error)
	// Touch records when keys were last used, by key id; times only move forward.
	Touch(ctx context.Context, uses map[string]time.Time) error
}

// TokenIssuer signs terminal tokens, and knows its own.
type TokenIssuer interface {
	Issue(c TokenClaims) (token string, err error)
	// Read is what a token of ours says, one that expired or was revoked too.
	// false where it is none of ours.
	Read(token string) (TokenClaims, bool)
}

// ChangeKind is what a Change is about.
type ChangeKind string

// The kinds of change.
const (
	// ChangeAll says that anything may have changed.
	ChangeAll      ChangeKind = "all"
	ChangeMerchant ChangeKind = "merchant"
	ChangeBrand    ChangeKind = "brand"
	ChangeBranch   ChangeKind = "branch"
	ChangeTerminal ChangeKind = "terminal"
	ChangeKey      ChangeKind = "key"   // revoked, deleted or given other merchants
	ChangeToken    ChangeKind = "token" // revoked
)

// Change says that something which is cached is no longer what it was.
type Change struct {
	Kind ChangeKind
	ID   string
}

// Listener forgets what changed. A change may be told more than once, and must
// be told only after it committed: what is read again then is the new state.
type Listener interface {
	Changed(c Change)
}

// Listeners tell a change to each of them.
type Listeners []Listener

// Changed implements Listener.
func (ls Listeners) Changed(c Change) {
	for _, l := range ls {
		l.Changed(c)
	}
}
