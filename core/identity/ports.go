package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps the identity graph. Every method is bounded by the tenant but
// for Sweep. Whoever changes several things in one transaction takes them in
// this order, so that none waits for the other in a circle: idempotency
// record, session, customer, enrolment, wallet, lots.
type Store interface {
	Customers
	Links
	Enrollments
	Codes
	Claims
	Histories
	Consents
	Profiles
	// Sweep deletes codes and enrolments that ended before the given times, up
	// to limit of each, and returns how many rows went.
	Sweep(ctx context.Context, codesBefore, enrollmentsBefore time.Time, limit int) (int, error)
}

// Customers keeps people.
type Customers interface {
	// Customer reads one, whatever its status. Errors: NOT_FOUND.
	Customer(ctx context.Context, t tenancy.Tenant, id string) (Customer, error)
	// LockCustomer is Customer, held until the transaction ends. Errors: NOT_FOUND.
	LockCustomer(ctx context.Context, t tenancy.Tenant, id string) (Customer, error)
	// CustomerByPhone reads the one with an E.164 phone, whatever its status; nil where
	// there is none. The phone of one that was merged leads to the customer that remains.
	CustomerByPhone(ctx context.Context, t tenancy.Tenant, phone string) (*Customer, error)
	// Enrol writes c unless its phone is known (rule 35): then the known one is
	// returned, locked, and created is false (of one that was merged, the customer
	// that remains). Calls for the same phone at the
	// same moment make one customer.
	Enrol(ctx context.Context, c Customer) (stored Customer, created bool, err error)
	// MarkVerified flips PENDING_PROOF to VERIFIED; false where it was VERIFIED already.
	MarkVerified(ctx context.Context, t tenancy.Tenant, id string, now time.Time) (bool, error)
	// NameCustomer gives a name to a customer that has none.
	NameCustomer(ctx context.Context, t tenancy.Tenant, id, name string, now time.Time) error
	// SetStatus changes whether the identity may be used. Errors: NOT_FOUND.
	SetStatus(ctx context.Context, t tenancy.Tenant, id string, s Status, now time.Time) error
	// NoteStatus keeps why the status is what it is.
	NoteStatus(ctx context.Context, t tenancy.Tenant, id, reason string) error
	// SaveAttributes writes what the customer told: c's name, e-mail, birth date
	// and locale. The caller holds c.
	SaveAttributes(ctx context.Context, c Customer, now time.Time) error
}

// Match is a link with the customer it leads to.
type Match struct {
	LinkID   string
	Customer Customer
}

// Links keeps what leads to customers for good.
type Links interface {
	// Links lists a customer's links, oldest first, the phone left out.
	Links(ctx context.Context, t tenancy.Tenant, customerID string) ([]Link, error)
	// LinksEver is Links with those that were removed.
	LinksEver(ctx context.Context, t tenancy.Tenant, customerID string) ([]Link, error)
	// Unlink removes a link, so that it identifies no longer, and returns it. nil
	// where the customer has no such link or it was removed before.
	Unlink(ctx context.Context, t tenancy.Tenant, customerID, linkID, reason string, now time.Time) (*Link, error)
	// Matches finds the customers that a credential is linked to, whatever
	// their status: two of them are enough to know that it collides.
	Matches(ctx context.Context, t tenancy.Tenant, c Credential) ([]Match, error)
	// AddLink writes a link. One that the customer has already comes back as it
	// is, with created false. Errors: CREDENTIAL_ALREADY_LINKED where a
	// provider_customer_id belongs to another customer; a card fingerprint may
	// belong to several, and collides then.
	AddLink(ctx context.Context, l Link) (stored Link, created bool, err error)
	// Seen notes that a link (the phone's too) has identified its customer.
	Seen(ctx context.Context, t tenancy.Tenant, customerID, linkID string, now time.Time) error
}

// Enrollments keeps enrolments.
type Enrollments interface {
	// Enrollment reads one. Errors: NOT_FOUND.
	Enrollment(ctx context.Context, t tenancy.Tenant, id string) (Enrollment, error)
	// LockEnrollment is Enrollment, held until the transaction ends. Errors: NOT_FOUND.
	LockEnrollment(ctx context.Context, t tenancy.Tenant, id string) (Enrollment, error)
	// LatestEnrollment locks the customer's latest; nil where there is none.
	LatestEnrollment(ctx context.Context, t tenancy.Tenant, customerID string) (*Enrollment, error)
	// EnrollmentsSince counts the customer's since then, and says when the
	// oldest of them began.
	EnrollmentsSince(ctx context.Context, t tenancy.Tenant, customerID string, since time.Time) (n int, oldest time.Time, err error)
	// InsertEnrollment writes a new one.
	InsertEnrollment(ctx context.Context, e Enrollment) error
	// SaveEnrollment writes a changed one, which the caller holds.
	SaveEnrollment(ctx context.Context, e Enrollment) error
}

// Codes keeps payment codes. Spending one is not here: it happens in the
// statement that debits (core/app/payments).
type Codes interface {
	// Code reads a code by its hash, used and expired ones too; nil where there
	// is none.
	Code(ctx context.Context, t tenancy.Tenant, hash []byte) (*PaymentCode, error)
	// AddCode writes a code; false where the same value is out already.
	AddCode(ctx context.Context, c PaymentCode) (bool, error)
	// BindCode binds an unused code to a session; false where it is bound to
	// another one or was used meanwhile.
	BindCode(ctx context.Context, t tenancy.Tenant, hash []byte, sessionID string) (bool, error)
}

// Claims keeps the records of re-drives.
type Claims interface {
	// AddClaim writes one.
	AddClaim(ctx context.Context, c Claim) error
	// Claim reads one. Errors: NOT_FOUND.
	Claim(ctx context.Context, t tenancy.Tenant, id string) (Claim, error)
}

// Histories reads what customers did, from the records of the other modules.
type Histories interface {
	// History sums up a customer's purchases in the wallet's currency.
	History(ctx context.Context, t tenancy.Tenant, customerID string) (History, error)
	// Activity lists what happened, newest first.
	Activity(ctx context.Context, t tenancy.Tenant, f ActivityFilter) ([]Activity, error)
}

// History is a customer's purchases, and the gates they opened.
type History struct {
	Lifetime
	// FirstTopupAt and FirstPurchaseAt open the claim gates of the same names.
	FirstTopupAt, FirstPurchaseAt *time.Time
}

// ActivityFilter narrows a customer's activity.
type ActivityFilter struct {
	CustomerID string
	Type       string // empty for all
	// Before leaves out what is not before (At, ReferenceID); a time far ahead
	// begins at the latest.
	Before   time.Time
	BeforeID string
	Limit    int
}

// Activity is one thing that happened between a customer and the merchant.
type Activity struct {
	Type        string // transaction, topup, grant, enrollment, consent
	ReferenceID string
	Detail      string // what kind of it: the source of a grant, the state of an enrolment, the purpose and act of a consent
	AmountMinor int64  // what it was worth
	ActualMinor int64  // what it took from the wallet's actual money
	PromoMinor  int64  // what it took from promotional credit
	Currency    string
	BranchID    string // empty outside of branches
	At          time.Time
}

// Consents keeps acts of agreeing and withdrawing.
type Consents interface {
	// AddConsent writes one.
	AddConsent(ctx context.Context, c Consent) error
	// ConsentActs reads the latest act of each purpose and channel.
	ConsentActs(ctx context.Context, t tenancy.Tenant, customerID string) (ConsentActs, error)
	// ListConsents lists the customer's, the latest recorded first, from before
	// (RecordedAt, ID) on; purpose may be empty.
	ListConsents(ctx context.Context, t tenancy.Tenant, customerID, purpose string, before time.Time, beforeID string, limit int) ([]Consent, error)
}

// Profiles keeps how customers want to be treated and what partners tell of them.
type Profiles interface {
	// Preferences reads a customer's; one who never said has version 1 and wants
	// everything. Language is the customer's locale.
	Preferences(ctx context.Context, t tenancy.Tenant, customerID string) (Preferences, error)
	// SavePreferences writes p, its language too. The caller holds the customer.
	SavePreferences(ctx context.Context, t tenancy.Tenant, p Preferences) error
	// AddCustomerEvent writes one.
	AddCustomerEvent(ctx context.Context, e CustomerEvent) error
	// ListCustomerEvents lists the customer's, the latest first, from before
	// (OccurredAt, ID) on; kind may be empty.
	ListCustomerEvents(ctx context.Context, t tenancy.Tenant, customerID, kind string, before time.Time, beforeID string, limit int) ([]CustomerEvent, error)
}
