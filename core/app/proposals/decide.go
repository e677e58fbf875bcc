package proposals

import (
	"cmp"
	"context"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/tenancy"
)

// DecideInput is the decision about one proposal.
type DecideInput struct {
	ProposalID string
	Accept     bool   // else it is rejected
	Reason     string // for the record; may be empty
}

// Decide accepts or rejects, once. What it becomes is made here, with the
// budget that it needs; where that fails the proposal stays open. The caller
// needs the authority of what it becomes. Errors: NOT_FOUND (proposal, and the
// customer of one to accept), SCOPE_INSUFFICIENT, OPERATOR_REQUIRED, SESSION_ENDED,
// OFFER_EXPIRED, STATE_CONFLICT, OFFER_NOT_ELIGIBLE, BUDGET_EXHAUSTED.
func (s *Service) Decide(ctx context.Context, call *app.Call, in DecideInput) (View, error) {
	merchant, err := s.Directory.Merchant(ctx, call.Tenant.MerchantID)
	if err != nil {
		return View{}, err
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (View, error) {
		p, c, err := s.lock(ctx, st, call, in, now)
		if err != nil {
			return View{}, err
		}
		v := View{Proposal: p, At: now}
		switch {
		case !in.Accept:
			v.Proposal.State = offers.ProposalRejected
		case c != nil:
			err = s.apply(ctx, st, &v, *c, now)
		default:
			err = s.grant(ctx, st, &v, in.Reason, merchant.Settings, now)
		}
		if err != nil {
			return View{}, err
		}
		v.Proposal.DecidedAt, v.Proposal.DecisionReason = &now, in.Reason
		return v, s.settle(ctx, st, v.Proposal, now)
	})
}

// lock reads the proposal, and the session it is accepted for, for update:
// session first, as everywhere. What is read before is only who has to wait.
func (s *Service) lock(ctx context.Context, st app.Stores, call *app.Call, in DecideInput, now time.Time) (offers.Proposal, *checkout.Session, error) {
	p, err := st.Offers.Proposal(ctx, call.Tenant, in.ProposalID)
	if err == nil && !checkout.Within(call.Actor, p.Place) {
		err = fault.NotFound("proposal")
	}
	if err != nil {
		return p, nil, err
	}
	var c *checkout.Session
	if in.Accept {
		if err := authority(call.Actor, p); err != nil {
			return p, nil, err
		}
		if err := eligible(ctx, st, call.Tenant, p.CustomerID); err != nil {
			return p, nil, err
		}
		if p.SessionID != "" {
			locked, err := session(ctx, call, st.Checkout.Lock, p.SessionID)
			if err != nil {
				return p, nil, err
			}
			c = &locked
		}
	}
	if p, err = st.Offers.LockProposal(ctx, call.Tenant, in.ProposalID); err != nil {
		return p, nil, err
	}
	if err := p.Open(now); err != nil {
		return p, nil, err
	}
	if c != nil {
		if err := c.Live(now); err != nil {
			return p, nil, err
		}
		return p, c, belongs(*c, p.CustomerID)
	}
	return p, nil, nil
}

// authority refuses whoever could not do directly what accepting does: apply an
// offer, or issue a grant.
func authority(a tenancy.Actor, p offers.Proposal) error {
	switch {
	case a.Operator:
		return nil
	case p.SessionID == "":
		return fault.New(fault.CodeOperatorRequired, "accepting this proposal issues a grant, which needs an API key with operator authority")
	case a.Kind == tenancy.TerminalCall:
		return nil
	}
	return fault.New(fault.CodeScopeInsufficient, "accepting this proposal applies an offer, which needs a terminal token or an API key with operator authority")
}

// eligible refuses a customer who was disabled or erased since: they look like none
// (rule 10). Who was merged stands for whom they are now.
func eligible(ctx context.Context, st app.Stores, t tenancy.Tenant, customerID string) error {
	c, err := st.Identity.Customer(ctx, t, customerID)
	if err == nil && c.Status == identity.Merged {
		_, err = identities.Active(ctx, st, t, c.MergedInto)
		return err
	}
	if err == nil && c.Status != identity.Active {
		err = fault.NotFound("customer")
	}
	return err
}

// apply turns the proposal into an applied offer of its session.
func (s *Service) apply(ctx context.Context, st app.Stores, v *View, c checkout.Session, now time.Time) error {
	r, err := s.Incentives.HoldOneOff(ctx, st, c, v.Proposal.Offer(), v.Proposal.TraceID, now)
	if err != nil {
		return err
	}
	v.Application = &r.Application
	v.Proposal.State, v.Proposal.ApplicationID = offers.ProposalAccepted, r.Application.ID
	return nil
}

// grant turns the proposal into a grant, LOCKED or RELEASED by the usual rule (26).
func (s *Service) grant(ctx context.Context, st app.Stores, v *View, reason string, set tenancy.Settings, now time.Time) error {
	p := &v.Proposal
	amount, err := p.GrantMinor()
	if err != nil {
		return err
	}
	if err := st.Ledger.OpenWallet(ctx, p.Tenant, p.CustomerID, p.Currency); err != nil {
		return err
	}
	source := ledger.SourceOffer
	if p.Kind == offers.ProposeGoodwill {
		source = ledger.SourceGoodwill
	}
	g, err := s.Grants.Fund(ctx, st, grants.IssueInput{
		Tenant: p.Tenant, CustomerID: p.CustomerID, Source: source, AmountMinor: amount, Currency: p.Currency,
		ExpiresAt: ledger.ExpiryAfter(now, set.CashbackExpiryDays), BudgetID: p.BudgetID, OriginID: p.ID, TraceID: p.TraceID,
		Gate: set.ClaimGate, Now: now,
	}, cmp.Or(reason, p.Reason))
	if err != nil {
		return err
	}
	v.Grant = &g
	p.State, p.GrantID = offers.ProposalAccepted, g.ID
	return nil
}

// settle writes what became of a proposal, and tells it.
func (s *Service) settle(ctx context.Context, st app.Stores, p offers.Proposal, now time.Time) error {
	if err := st.Offers.DecideProposal(ctx, p); err != nil {
		return err
	}
	return s.conclude(ctx, st, p, now)
}

// conclude closes the decision and the counterfactual behind a proposal that is
// decided or has expired, and tells it.
func (s *Service) conclude(ctx context.Context, st app.Stores, p offers.Proposal, now time.Time) error {
	state := "declined"
	if p.State == offers.ProposalAccepted {
		state = "taken" // holding the offer has marked the counterfactual
	} else if p.SessionID != "" {
		if err := st.Decisions.MarkTaken(ctx, p.Tenant, p.SessionID, p.OfferID, "not_taken"); err != nil {
			return err
		}
	}
	if err := st.Decisions.Settle(ctx, p.Tenant, p.DecisionID, state, p.GrantID); err != nil {
		return err
	}
	return s.tell(ctx, st, "proposal.decided", p, now)
}

// expireAtOnce bounds how many proposals one transaction ends.
const expireAtOnce = 100

// Expire is one round of the sweep: it ends up to limit proposals whose time is
// over, and returns how many it ended. Any number of servers may sweep.
func (s *Service) Expire(ctx context.Context, limit int) (ended int, err error) {
	for ended < limit {
		n := 0
		err := s.UoW.Do(ctx, func(ctx context.Context, st app.Stores) error {
			now := s.Clock.Now()
			over, err := st.Offers.ExpireProposals(ctx, now, min(limit-ended, expireAtOnce))
			if err != nil {
				return err
			}
			n = len(over)
			for _, p := range over {
				if err := s.conclude(ctx, st, p, now); err != nil {
					return err
				}
			}
			return nil
		})
		if ended += n; err != nil || n == 0 {
			return ended, err
		}
	}
	return ended, nil
}
