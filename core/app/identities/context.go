package identities

import (
	"context"
	"strings"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// CustomerContext is what identifying somebody gives: enough to serve them,
// nothing that can be spent (rule 1).
type CustomerContext struct {
	Customer identity.Customer
	Balance  ledger.Balance
	Program  Program
	Badge    identity.Badge
	Lifetime identity.Lifetime
	// Probationary is true where the credential used is a probationary link.
	Probationary bool
	// Links are how the customer is recognised, the phone first.
	Links []identity.Link
	// Unclaimed is nil for a verified customer whose grants are all released.
	Unclaimed *Unclaimed
}

// Program is a customer's binding to the merchant's loyalty program. A
// merchant has one program.
type Program struct {
	ID, Name, MerchantID string
	Currency             string
	CashbackBP           int64 // basis points of the total paid
	ClaimGate            tenancy.ClaimGate
	ClaimGateMet         bool // the gate alone; verification is the state
	Tier                 string
	JoinedAt             time.Time
}

// Unclaimed is promotional credit that is LOCKED until the customer does what
// is missing (rule 13).
type Unclaimed struct {
	AmountMinor int64
	Currency    string
	Grants      int
	ExpiresAt   *time.Time // of the first to expire; nil where none does
	Needs       []string   // verification, first_topup, first_purchase
}

// ContextOf reads the context of a customer. It leaves Probationary to whoever
// knows the credential (see ContextFor). The context of an identity that was
// merged is that of the customer who remains. Errors: NOT_FOUND.
func (s *Service) ContextOf(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string, now time.Time) (CustomerContext, error) {
	c, err := Served(ctx, st, t, customerID)
	if err != nil {
		return CustomerContext{}, err
	}
	return s.contextOf(ctx, st, c, now)
}

// Served reads a customer who may be served; of an identity that was merged,
// the one who remains. Errors: NOT_FOUND.
func Served(ctx context.Context, st app.Stores, t tenancy.Tenant, id string) (identity.Customer, error) {
	c, err := st.Identity.Customer(ctx, t, id)
	if err == nil && c.Status == identity.Merged && c.MergedInto != "" {
		c, err = st.Identity.Customer(ctx, t, c.MergedInto)
	}
	if err != nil {
		return c, err
	}
	return c, c.Usable()
}

// ContextFor is ContextOf the customer that a resolution found.
func (s *Service) ContextFor(ctx context.Context, st app.Stores, r identity.Resolution, now time.Time) (CustomerContext, error) {
	out, err := s.contextOf(ctx, st, *r.Customer, now)
	out.Probationary = r.Probationary
	return out, err
}

func (s *Service) contextOf(ctx context.Context, st app.Stores, c identity.Customer, now time.Time) (CustomerContext, error) {
	m, err := s.Directory.Merchant(ctx, c.Tenant.MerchantID)
	if err != nil {
		return CustomerContext{}, err
	}
	b, err := st.Ledger.Balance(ctx, c.Tenant, c.ID)
	if err != nil {
		return CustomerContext{}, err
	}
	history, err := st.Identity.History(ctx, c.Tenant, c.ID)
	if err != nil {
		return CustomerContext{}, err
	}
	links, err := st.Identity.Links(ctx, c.Tenant, c.ID)
	if err != nil {
		return CustomerContext{}, err
	}
	for i := range links {
		links[i].Probationary = identity.Probationary(links[i].Type, c.State)
	}
	out := CustomerContext{
		Customer: c, Balance: b.At(now), Program: program(m, c, history, b.Currency), Badge: history.Badge(now),
		Lifetime: history.Lifetime, Links: append([]identity.Link{c.PhoneLink()}, links...),
	}
	out.Unclaimed = unclaimed(c, out.Balance, out.Program)
	return out, nil
}

func program(m tenancy.Merchant, c identity.Customer, h identity.History, currency string) Program {
	p := Program{
		ID: "prg_" + strings.TrimPrefix(m.ID, "mer_"), Name: m.Name, MerchantID: m.ID, Currency: currency,
		CashbackBP: m.Settings.CashbackBP, ClaimGate: m.Settings.ClaimGate, Tier: c.Tier, JoinedAt: c.CreatedAt,
	}
	if p.ClaimGate == "" {
		p.ClaimGate = tenancy.GateOnVerification
	}
	// The gate is asked for as if the phone were proven: the state says whether it is.
	p.ClaimGateMet = ledger.Wallet{FirstTopupAt: h.FirstTopupAt, FirstPurchaseAt: h.FirstPurchaseAt}.Qualifies(p.ClaimGate, true)
	if p.ClaimGate == tenancy.GateOnVerification {
		p.ClaimGateMet = c.State == identity.Verified
	}
	return p
}

// unclaimed sums up what is LOCKED. An unverified customer always has it, if
// only to say what is missing.
func unclaimed(c identity.Customer, b ledger.Balance, p Program) *Unclaimed {
	u := Unclaimed{Currency: b.Currency, Needs: missing(c, p)}
	for _, g := range b.Grants {
		if g.State != ledger.Locked {
			continue
		}
		u.Grants++
		u.AmountMinor += g.RemainingMinor
		if g.ExpiresAt != nil && (u.ExpiresAt == nil || g.ExpiresAt.Before(*u.ExpiresAt)) {
			u.ExpiresAt = g.ExpiresAt
		}
	}
	if c.State == identity.Verified && u.Grants == 0 {
		return nil
	}
	return &u
}

func missing(c identity.Customer, p Program) []string {
	needs := []string{}
	if c.State != identity.Verified {
		needs = append(needs, "verification")
	}
	if p.ClaimGateMet {
		return needs
	}
	switch p.ClaimGate {
	case tenancy.GateOnFirstTopup:
		needs = append(needs, "first_topup")
	case tenancy.GateOnFirstPurchase:
		needs = append(needs, "first_purchase")
	}
	return needs
}
