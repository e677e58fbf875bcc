package ledger

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Store keeps wallets, lots, entries, top-ups and payments. Every method is
// bounded by the tenant. Whoever changes several things in one transaction
// takes them in this order, so that none waits for the other in a circle:
// idempotency record, session, wallet, lots.
type Store interface {
	Wallets
	Grants
	Topups
	Payments
	PointsStore
}

// Book is a wallet as a transaction changes it: locked, with its live lots.
type Book struct {
	Wallet Wallet
	Lots   []Grant // LOCKED and RELEASED, in spending order
	// Verified is true where the customer's phone is proven.
	Verified bool
	// Asked are the ids by which the wallet was asked for: the customer's, and
	// those of identities that were merged into it.
	Asked []string
}

// Owner is whose wallet it is.
func (b Book) Owner() Owner { return Owner{b.Wallet.Tenant, b.Wallet.CustomerID} }

// Wallets keeps wallets and what changes them. Read by the id of an identity
// that was merged, a wallet is that of the customer who remains: its
// CustomerID says so.
type Wallets interface {
	// OpenWallet makes an empty wallet in currency. One that exists is left as
	// it is, whatever its currency.
	OpenWallet(ctx context.Context, t tenancy.Tenant, customerID, currency string) error
	// Balance reads a wallet with its LOCKED and RELEASED lots in spending
	// order. Show it by Balance.At, which leaves out what has lapsed.
	// Errors: NOT_FOUND.
	Balance(ctx context.Context, t tenancy.Tenant, customerID string) (Balance, error)
	// Book reads and locks a wallet until the transaction ends. Errors: NOT_FOUND.
	Book(ctx context.Context, t tenancy.Tenant, customerID string) (Book, error)
	// Books is Book for many wallets, locked in one order whoever asks, so that
	// nobody waits in a circle. It gives those that exist, ordered by tenant and
	// customer, each once.
	Books(ctx context.Context, owners []Owner) ([]Book, error)
	// Apply writes a change whose wallet still has the version that was read,
	// and returns the wallet with its new version. Errors: STATE_CONFLICT where
	// another writer was faster.
	Apply(ctx context.Context, c *Change) (Wallet, error)
	// ApplyAll is Apply for the changes of different wallets: all or none.
	ApplyAll(ctx context.Context, changes []*Change) error
}

// GrantFilter narrows a list of grants.
type GrantFilter struct {
	State  GrantState // empty for all
	Source Source     // empty for all
	// After is the id of the last grant of the page before; empty for the first.
	After string
	Limit int
}

// Owner is a customer of a tenant.
type Owner struct {
	Tenant     tenancy.Tenant
	CustomerID string
}

// Sale names a sale as the lots that it gave know it: by its id, and by the
// trace of its decisions, which is empty where it has none.
type Sale struct {
	CustomerID, TransactionID, TraceID string
	At                                 time.Time
}

// IssuedGrant is a lot with the entry that issued it.
type IssuedGrant struct {
	Grant
	EntryID string
}

// Grants reads lots.
type Grants interface {
	// Grant reads one. Errors: NOT_FOUND.
	Grant(ctx context.Context, t tenancy.Tenant, id string) (Grant, error)
	// GrantsOf lists a customer's grants in every state, newest first.
	GrantsOf(ctx context.Context, t tenancy.Tenant, customerID string, f GrantFilter) ([]Grant, error)
	// Lots reads those of ids, in no particular order; unknown ones are left out.
	Lots(ctx context.Context, t tenancy.Tenant, ids []string) ([]Grant, error)
	// GrantsOfSale lists the lots that a sale gave, in whatever state.
	GrantsOfSale(ctx context.Context, t tenancy.Tenant, s Sale) ([]IssuedGrant, error)
	// EntryOfGrant is the entry that issued a lot. Errors: NOT_FOUND.
	EntryOfGrant(ctx context.Context, t tenancy.Tenant, grantID string) (string, error)
	// Movements lists what moved a grant's credit, oldest first.
	Movements(ctx context.Context, t tenancy.Tenant, grantID string) ([]GrantMovement, error)
	// Lapsing lists up to limit wallets that hold lots whose time is over at now.
	Lapsing(ctx context.Context, now time.Time, limit int) ([]Owner, error)
}

// Topups keeps top-ups, their SKUs and reload tiers.
type Topups interface {
	// Topup reads one. Errors: NOT_FOUND.
	Topup(ctx context.Context, t tenancy.Tenant, id string) (Topup, error)
	// TopupForUpdate reads and locks one until the transaction ends. Errors: NOT_FOUND.
	TopupForUpdate(ctx context.Context, t tenancy.Tenant, id string) (Topup, error)
	// TopupOf finds the top-up that a provider's callback names, whoever's it
	// is: its tenant says so. Errors: NOT_FOUND.
	TopupOf(ctx context.Context, mode tenancy.Mode, provider, id string) (Topup, error)
	// InsertTopup writes a new one.
	InsertTopup(ctx context.Context, top Topup) error
	// SaveTopup writes a changed one. Errors: DUPLICATE_REFERENCE where its
	// reference settled another top-up of the same provider.
	SaveTopup(ctx context.Context, top Topup) error
	// LapsedTopups lists up to limit PENDING top-ups past their expiry.
	LapsedTopups(ctx context.Context, now time.Time, limit int) ([]Topup, error)

	// Tiers reads the reload bonus in a currency; no steps where none is set.
	Tiers(ctx context.Context, t tenancy.Tenant, currency string) (Tiers, error)
	// SetTiers replaces them and returns them as stored.
	SetTiers(ctx context.Context, t tenancy.Tenant, tiers Tiers, now time.Time) (Tiers, error)

	// SKU reads one. Errors: NOT_FOUND.
	SKU(ctx context.Context, t tenancy.Tenant, id string) (SKU, error)
	// PutSKU registers one or replaces its figures; created says which.
	PutSKU(ctx context.Context, s SKU) (stored SKU, created bool, err error)
	// SKUs lists up to limit by id, after an id; active nil means all.
	SKUs(ctx context.Context, t tenancy.Tenant, active *bool, after string, limit int) ([]SKU, error)
}

// Payments keeps payments. The debit itself is not here: it goes through the
// pipeline of core/app/payments.
type Payments interface {
	// Payment reads one. Errors: NOT_FOUND.
	Payment(ctx context.Context, t tenancy.Tenant, id string) (Payment, error)
	// InsertPayment writes one that requires capture.
	InsertPayment(ctx context.Context, p Payment) error
	// TakeAttempt counts an attempt at the code of a payment that requires
	// capture, before it is judged, so that guesses in parallel count too. ok is
	// false where none was left.
	TakeAttempt(ctx context.Context, t tenancy.Tenant, id string) (left int, ok bool, err error)
	// ReturnAttempt takes the count back after a right code.
	ReturnAttempt(ctx context.Context, t tenancy.Tenant, id string) error
	// OpenCodes counts the customer's payments since an instant that wait for a
	// code or failed.
	OpenCodes(ctx context.Context, t tenancy.Tenant, customerID string, since time.Time) (int, error)
	// FailPayment ends one that requires capture; false where it no longer does.
	FailPayment(ctx context.Context, t tenancy.Tenant, id, code string) (bool, error)
	// MovementsOfSession lists the ids of all payments and top-ups of a session,
	// those that moved nothing too.
	MovementsOfSession(ctx context.Context, t tenancy.Tenant, sessionID string) ([]string, error)
	// PaymentsOfSession lists a session's payments that debited, oldest first.
	PaymentsOfSession(ctx context.Context, t tenancy.Tenant, sessionID string) ([]Payment, error)
	// Alone gives those of the payments that stand for a sale of their own and
	// have no transaction yet, with what their sale needs.
	Alone(ctx context.Context, refs []PaymentRef) ([]Lone, error)
	// SetTransactions names the transactions that payments belong to. Errors:
	// STATE_CONFLICT where one belongs to another already.
	SetTransactions(ctx context.Context, of []PaymentOf) error
}

// PaymentRef names a payment of a tenant.
type PaymentRef struct {
	Tenant tenancy.Tenant
	ID     string
}

// PaymentOf says which transaction a payment belongs to.
type PaymentOf struct {
	PaymentRef
	TransactionID string
}

// Lone is a payment outside of a session, with what its sale needs to know of
// the payer.
type Lone struct {
	Payment Payment
	// CustomerState is the payer's identity state; WalletCurrency is empty where
	// the payer has no wallet.
	CustomerState, WalletCurrency string
}
