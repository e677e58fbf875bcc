package offers

import (
	"time"

	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/tenancy"
)

// ProposalState is where a proposal stands.
type ProposalState string

// The states. All but Open are final.
const (
	ProposalOpen     ProposalState = "open"
	ProposalAccepted ProposalState = "accepted"
	ProposalRejected ProposalState = "rejected"
	ProposalExpired  ProposalState = "expired"
)

// ProposalKind is what a proposal is for.
type ProposalKind string

// The kinds of proposal.
const (
	ProposeUpsell   ProposalKind = "upsell"
	ProposeRecovery ProposalKind = "recovery"
	ProposeGoodwill ProposalKind = "goodwill"
)

// MaxProposalLife is how far ahead a proposal may end.
const MaxProposalLife = 90 * 24 * time.Hour

// Proposal is a one-off incentive for one customer. It gives nothing and holds
// no budget until it is accepted.
type Proposal struct {
	ID         string
	Tenant     tenancy.Tenant
	Kind       ProposalKind
	State      ProposalState
	CustomerID string
	SessionID  string        // empty: for the customer, whatever they do next
	Place      tenancy.Place // where it was proposed; brand and branch only
	// OfferID is the one-off offer that it becomes in a session; chosen when it
	// is proposed, so that exposures of it can be told by it.
	OfferID        string
	Title          string
	Value          Value
	Currency       string
	BudgetID       string // empty: the merchant's own expense
	Reason         string
	Card           decision.Card
	TraceID        string // of the decision to propose it
	DecisionID     string
	ApplicationID  string // what it became in a session
	GrantID        string // what it became outside of one
	DecisionReason string
	CreatedAt      time.Time
	ExpiresAt      time.Time
	DecidedAt      *time.Time // when it was accepted or rejected
}

// ProposalFilter selects proposals of a list; zero members do not.
type ProposalFilter struct {
	State                 ProposalState // as StateAt has it
	CustomerID, SessionID string
	Reach                 tenancy.Place // what a brand's or branch's credential sees
	Before                string        // proposals older than this id: where the page before ended
	Limit                 int
	Now                   time.Time // what State is judged at
}

// StateAt is the state as a partner sees it: an open proposal that is past its
// end is expired, whether or not the sweep was there.
func (p Proposal) StateAt(now time.Time) ProposalState {
	if p.State == ProposalOpen && !now.Before(p.ExpiresAt) {
		return ProposalExpired
	}
	return p.State
}

// Open refuses a proposal that can't be decided at now. Errors: OFFER_EXPIRED,
// STATE_CONFLICT where it is decided.
func (p Proposal) Open(now time.Time) error {
	switch p.StateAt(now) {
	case ProposalOpen:
		return nil
	case ProposalExpired:
		return fault.Field(fault.CodeOfferExpired, "proposal_id", "not_expired",
			"the proposal could be decided until %s; propose it again", p.ExpiresAt.UTC().Format(time.RFC3339))
	default:
		return fault.Field(fault.CodeStateConflict, "proposal_id", "open", "the proposal is %s already, which is final; propose another one", p.State)
	}
}

// Offer is the one-off offer that a proposal for a session becomes: in nobody's
// catalogue, on the whole basket or on every line of it.
func (p Proposal) Offer() Offer {
	d := Definition{
		Kind: p.offerKind(), Name: "proposal " + p.ID, Title: p.Title, Currency: p.Currency, Value: p.Value,
		Funding: Funding{BudgetID: p.BudgetID},
	}.Normal()
	d.Targets.BasketWide = d.Value.Per == PerBasket
	return Offer{
		ID: p.OfferID, Tenant: p.Tenant, Version: 1, Status: Archived, Definition: d, CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
	}
}

func (p Proposal) offerKind() Kind {
	switch {
	case p.Kind == ProposeUpsell:
		return Upsell
	case p.Value.Type == ValueFreeItem:
		return FreeItem
	case p.Value.Type == ValueCashback:
		return Cashback
	case p.Value.Type == ValuePoints:
		return Points
	case p.Value.Per == PerUnit || p.Value.Per == PerLine:
		return ItemDiscount
	}
	return BasketDiscount
}

// GrantMinor is the credit that a proposal outside of a session becomes.
// Errors: VALIDATION_FAILED where only a basket could decide it.
func (p Proposal) GrantMinor() (int64, error) {
	if v := p.Value; v.AmountMinor > 0 && (v.Type == ValueAmount || v.Type == ValueCashback) && (v.Per == "" || v.Per == PerBasket) {
		if v.MaxDiscountMinor > 0 {
			return min(v.AmountMinor, v.MaxDiscountMinor), nil
		}
		return v.AmountMinor, nil
	}
	return 0, fault.Field(fault.CodeValidationFailed, "value", "amount_outside_session",
		"outside of a session there is no basket to reckon with: give an amount_minor of type amount or cashback, or name the session")
}

// Validate checks what the contract's field rules leave open. Errors:
// VALIDATION_FAILED.
func (p Proposal) Validate() error {
	if life := p.ExpiresAt.Sub(p.CreatedAt); life <= 0 || life > MaxProposalLife {
		return fault.Field(fault.CodeValidationFailed, "expires_at", "ahead",
			"a proposal ends after %s and no more than 90 days later", p.CreatedAt.UTC().Format(time.RFC3339))
	}
	if p.SessionID == "" {
		_, err := p.GrantMinor()
		return err
	}
	return p.Offer().Definition.Validate()
}
