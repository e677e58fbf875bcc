package tenancy

import "time"

// TerminalActive is the status of a terminal that gets tokens.
const TerminalActive = "active"

// Terminal is a till.
type Terminal struct {
	ID, MerchantID, BrandID, BranchID, Name string
	Status                                  string // active, retired
	// Reference is the partner's own id, SerialNumber the maker's; each is
	// unique for the merchant, and may be empty.
	Reference, SerialNumber string
	Model                   string
	// SoftwareVersion is what its last heartbeat reported.
	SoftwareVersion string
	// LastSeenAt is its last heartbeat, exact to HeartbeatEvery; nil where it
	// never sent one.
	LastSeenAt *time.Time
	// TokenGeneration is that of the tokens it gets now; earlier ones are dead.
	TokenGeneration int32
	CreatedAt       time.Time
}

// How terminals report.
const (
	// HeartbeatEvery is how often a terminal is asked to report.
	HeartbeatEvery = 30 * time.Second
	// OnlineFor is how long after its last heartbeat a terminal counts as
	// online: two may be lost.
	OnlineFor = 3 * HeartbeatEvery
	// LateFor is how long it counts as late; offline comes after.
	LateFor = 10 * time.Minute
)

// TerminalState is how a terminal stands, judged by the time.
type TerminalState string

// The states of terminals.
const (
	TerminalOnline   TerminalState = "online"
	TerminalLate     TerminalState = "late"
	TerminalOffline  TerminalState = "offline" // never heard of, too
	TerminalDisabled TerminalState = "disabled"
)

// StateAt is how the terminal stands at now. One that reported later than now
// (servers' clocks differ) is online.
func (t Terminal) StateAt(now time.Time) TerminalState {
	switch {
	case t.Status != TerminalActive:
		return TerminalDisabled
	case t.LastSeenAt == nil:
		return TerminalOffline
	}
	switch silent := now.Sub(*t.LastSeenAt); {
	case silent <= OnlineFor:
		return TerminalOnline
	case silent <= LateFor:
		return TerminalLate
	}
	return TerminalOffline
}

// Reach is what a credential must cover to act for the terminal.
func (t Terminal) Reach(owner Tenant) Reach {
	return Reach{
		PartnerID: owner.PartnerID, Mode: owner.Mode, Scope: ScopeBranch,
		Merchants: []string{t.MerchantID}, BrandID: t.BrandID, BranchID: t.BranchID,
	}
}

// TerminalFilter narrows a list of terminals; zero members do not, but for Before.
type TerminalFilter struct {
	BranchID string
	// Reach leaves out what a brand's or branch's key does not see.
	Reach Place
	// State is judged at Now.
	State TerminalState
	Now   time.Time
	// Before leaves out what is not before (Before, BeforeID), latest
	// registered first; a time far ahead begins at the latest.
	Before   time.Time
	BeforeID string
	Limit    int
}

// Heartbeat is what a terminal reported last.
type Heartbeat struct {
	At              time.Time
	SoftwareVersion string
}

// TillSubject is something that tills read and keep.
type TillSubject string

// What tills keep.
const (
	TillCapabilities TillSubject = "capabilities" // the merchant's settings and what the server can do
	TillOffers       TillSubject = "offers"
	TillReloadBonus  TillSubject = "reload_bonus"
	TillTopupSKUs    TillSubject = "topup_skus"
)

// TillSubjects are all of them, by name.
func TillSubjects() []TillSubject {
	return []TillSubject{TillCapabilities, TillOffers, TillReloadBonus, TillTopupSKUs}
}
