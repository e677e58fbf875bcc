package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// AccountKind is what an account stands for. The numbers are stored: never
// reuse or renumber one.
type AccountKind int16

// The kinds of account. An owner tells accounts of one kind apart; the
// merchant's own accounts have none, the tenant is their owner.
const (
	AccountWallet          AccountKind = 1  // a customer's actual money; owner: customer
	AccountLot             AccountKind = 2  // one lot of promotional credit; owner: grant
	AccountTopupClearing   AccountKind = 3  // top-up cash on its way to the merchant
	AccountSales           AccountKind = 4  // what customers paid, per class
	AccountPromoExpense    AccountKind = 5  // promotional credit given without a budget
	AccountBreakage        AccountKind = 6  // promotional credit that expired
	AccountBudget          AccountKind = 7  // promotional credit given from a budget; owner: budget
	AccountPointsLiability AccountKind = 8  // points outstanding
	AccountPoints          AccountKind = 9  // a customer's points; owner: customer
	AccountGift            AccountKind = 10 // gift value; owner: gift
	AccountFunding         AccountKind = 11 // a partner's prefunding; owner: partner
	AccountPlatformFees    AccountKind = 12 // fees of the platform
	AccountCardCredits     AccountKind = 13 // credits owed to cards
)

var accountNames = map[AccountKind]string{
	AccountWallet: "wallet", AccountLot: "lot", AccountTopupClearing: "topup_clearing", AccountSales: "sales",
	AccountPromoExpense: "promo_expense", AccountBreakage: "breakage", AccountBudget: "budget",
	AccountPointsLiability: "points_liability", AccountPoints: "points", AccountGift: "gift",
	AccountFunding: "funding", AccountPlatformFees: "platform_fees", AccountCardCredits: "card_credits",
}

// String is the account kind's name, for example "topup_clearing".
func (k AccountKind) String() string {
	if n, ok := accountNames[k]; ok {
		return n
	}
	return fmt.Sprintf("account(%d)", int16(k))
}

// owned reports whether accounts of this kind are told apart by an owner.
func (k AccountKind) owned() bool {
	switch k {
	case AccountWallet, AccountLot, AccountBudget, AccountPoints, AccountGift, AccountFunding:
		return true
	}
	return false
}

// Account is one account of a tenant.
type Account struct {
	Kind  AccountKind
	Owner string // see AccountKind; empty for the merchant's own accounts
}

// String names the account for people, for example "lot grt_01...".
func (a Account) String() string {
	if a.Owner == "" {
		return a.Kind.String()
	}
	return a.Kind.String() + " " + a.Owner
}

// Posting is one line of an entry: AmountMinor of Class into Account, or out
// of it where negative. Never zero.
type Posting struct {
	Account
	Class       money.Class
	AmountMinor int64
}

// EntryKind is why an entry was written.
type EntryKind string

// The entry kinds.
const (
	EntryPayment       EntryKind = "payment"
	EntryVoid          EntryKind = "void"
	EntryRefund        EntryKind = "refund"
	EntryTopup         EntryKind = "topup"
	EntryTopupReversal EntryKind = "topup_reversal"
	EntryGrant         EntryKind = "grant"
	EntryExpiry        EntryKind = "expiry"
	EntryClawback      EntryKind = "clawback"
)

// Head is the head of a journal line.
type Head struct {
	ID      string // ent_...
	Kind    EntryKind
	RefID   string // what it is about: a payment, top-up, grant, ...
	TraceID string // the decision trace behind it; empty where none
	At      time.Time
	// Reverses names the entry that a contra entry undoes, wholly or in part.
	Reverses string
}

// Entry is a journal line: a head and its postings, in one currency. Immutable
// once written; a correction is a contra entry.
type Entry struct {
	Head
	Tenant   tenancy.Tenant
	Currency string
	Postings []Posting
}

// Errors of a malformed entry: each is a defect of the code that made it.
var (
	ErrUnbalanced = errors.New("ledger: the postings do not sum to zero per class")
	ErrPosting    = errors.New("ledger: malformed posting")
)

// Validate proves that e may be written: at least two postings, none of zero,
// each on an account of its class, and a sum of zero per class.
func (e Entry) Validate() error {
	if len(e.Postings) < 2 {
		return fmt.Errorf("%w: entry %s has fewer than two", ErrPosting, e.ID)
	}
	// Two running sums cover actual and promo without a map; anything else is rare.
	var actual, promo int64
	var others map[money.Class]int64
	for _, p := range e.Postings {
		if err := p.validate(); err != nil {
			return fmt.Errorf("%w in entry %s", err, e.ID)
		}
		switch p.Class {
		case money.Actual:
			actual += p.AmountMinor
		case money.Promo:
			promo += p.AmountMinor
		default:
			if others == nil {
				others = map[money.Class]int64{}
			}
			others[p.Class] += p.AmountMinor
		}
	}
	for _, sum := range others {
		if sum != 0 {
			return fmt.Errorf("%w: entry %s", ErrUnbalanced, e.ID)
		}
	}
	if actual != 0 || promo != 0 {
		return fmt.Errorf("%w: entry %s", ErrUnbalanced, e.ID)
	}
	return nil
}

func (p Posting) validate() error {
	switch {
	case p.AmountMinor == 0:
		return fmt.Errorf("%w: zero on %s", ErrPosting, p.Account)
	case p.Kind.owned() != (p.Owner != ""):
		return fmt.Errorf("%w: owner of %s", ErrPosting, p.Account)
	case p.Kind == AccountWallet && p.Class != money.Actual:
		return fmt.Errorf("%w: a wallet account holds actual money only", ErrPosting)
	case p.Kind == AccountLot && p.Class != money.Promo:
		return fmt.Errorf("%w: a lot holds promotional credit only", ErrPosting)
	}
	return nil
}
