package shape

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/offers"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// positive is nil for 0, which in a definition means not set.
func positive[N int32 | int64](n int64) *N {
	if n == 0 {
		return nil
	}
	v := N(n)
	return &v
}

// Shown is one row of a feed; applicationID is empty while it is not applied.
func Shown(o *offers.Shown, applicationID string) *partnerv1.Offer {
	return &partnerv1.Offer{
		OfferId: o.OfferID, Version: int32(o.Version), Kind: string(o.Kind), Title: o.Title, Description: Optional(o.Description),
		Value: &partnerv1.OfferValue{
			Type: string(o.Value.Type), AmountMinor: o.Value.AmountMinor, PercentBp: positive[int32](o.Value.PercentBP), Points: positive[int64](o.Value.Points),
		},
		AppliesTo: offerLines(o.AppliesTo), RedemptionMethods: o.Redemption, ExpiresAt: Stamp(o.ExpiresAt), Reasoning: cardMessage(o.Card),
		Rank: int32(o.Rank), ApplicationId: Optional(applicationID), StackingGroup: Optional(o.Group),
	}
}

// Withheld is an offer that was judged and not shown.
func Withheld(w *offers.Withheld) *partnerv1.WithheldOffer {
	return &partnerv1.WithheldOffer{
		OfferId: w.OfferID, Reason: string(w.Reason), Reasoning: cardMessage(w.Card), Version: int32(w.Version), Title: w.Title,
	}
}

func offerLines(shares []offers.Share) []*partnerv1.OfferLine {
	out := make([]*partnerv1.OfferLine, 0, len(shares))
	for _, s := range shares {
		out = append(out, &partnerv1.OfferLine{LineId: s.LineID, DiscountMinor: s.DiscountMinor})
	}
	return out
}

// Application is an offer held for a session.
func Application(a offers.Application) *partnerv1.OfferApplication {
	return &partnerv1.OfferApplication{
		ApplicationId: a.ID, OfferId: a.OfferID, OfferVersion: int32(a.Version), SessionId: a.SessionID, State: string(a.State),
		DiscountMinor: a.DiscountMinor, AppliesTo: offerLines(a.Lines), ReleaseReason: Optional(a.ReleaseReason),
		AppliedAt: timestamppb.New(a.AppliedAt), RedeemedAt: Stamp(a.RedeemedAt), ReleasedAt: Stamp(a.ReleasedAt),
	}
}

// Proposal is a one-off incentive as it stands at a moment.
func Proposal(p offers.Proposal, at time.Time) *partnerv1.Proposal {
	return &partnerv1.Proposal{
		ProposalId: p.ID, Kind: string(p.Kind), State: string(p.StateAt(at)), CustomerId: p.CustomerID, SessionId: Optional(p.SessionID),
		Title: p.Title, Value: valueSpec(p.Value), Currency: p.Currency, BudgetId: Optional(p.BudgetID), Reason: Optional(p.Reason),
		Reasoning: cardMessage(p.Card), ApplicationId: Optional(p.ApplicationID), GrantId: Optional(p.GrantID),
		CreatedAt: timestamppb.New(p.CreatedAt), DecidedAt: Stamp(p.DecidedAt), ExpiresAt: timestamppb.New(p.ExpiresAt),
		DecisionTraceId: p.TraceID,
	}
}

// Definition is an offer as a partner reads it back.
func Definition(o offers.Offer, at time.Time) *partnerv1.OfferDefinition {
	return &partnerv1.OfferDefinition{
		OfferId: o.ID, Version: int32(o.Version), Status: string(o.StatusAt(at)), Kind: string(o.Kind), Name: o.Name, Title: o.Title,
		Description: Optional(o.Description), Value: valueSpec(o.Value), Targets: targets(o.Targets), Conditions: conditions(o.Conditions),
		Limits: limits(o.Limits), Stacking: stacking(o.Stacking), Funding: funding(o.Funding),
		Window:            &partnerv1.OfferWindow{StartsAt: Stamp(o.Window.StartsAt), EndsAt: Stamp(o.Window.EndsAt)},
		RedemptionMethods: o.Redemption, Currency: o.Currency, MerchantId: o.Tenant.MerchantID, BrandId: Optional(o.BrandID),
		CreatedAt: timestamppb.New(o.CreatedAt), UpdatedAt: timestamppb.New(o.UpdatedAt),
	}
}

func valueSpec(v offers.Value) *partnerv1.OfferValueSpec {
	return &partnerv1.OfferValueSpec{
		Type: string(v.Type), AmountMinor: positive[int64](v.AmountMinor), PercentBp: positive[int32](v.PercentBP), Points: positive[int64](v.Points),
		Per: Optional(string(v.Per)), MaxDiscountMinor: positive[int64](v.MaxDiscountMinor), FreeQuantity: positive[int32](v.FreeQuantity),
	}
}

func targets(t offers.Targets) *partnerv1.OfferTargets {
	return &partnerv1.OfferTargets{
		Skus: t.SKUs, Categories: t.Categories, BasketWide: t.BasketWide, ExcludeSkus: t.ExcludeSKUs,
		ExcludeCategories: t.ExcludeCategories, Segments: t.Segments, Tiers: t.Tiers,
	}
}

func conditions(c offers.Conditions) *partnerv1.OfferConditions {
	out := &partnerv1.OfferConditions{
		MinBasketMinor: positive[int64](c.MinBasketMinor), MinQuantity: positive[int32](c.MinQuantity), DaysOfWeek: c.Days,
		Channels: c.Channels, BranchIds: c.BranchIDs, CustomerStates: c.CustomerStates, NewCustomersOnly: c.NewCustomersOnly, Rule: Optional(c.Rule),
	}
	if w := c.TimeWindow; w != nil {
		out.TimeWindow = &partnerv1.OfferTimeWindow{From: clockText(w.From), To: clockText(w.To)}
	}
	return out
}

func clockText(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

func limits(l offers.Limits) *partnerv1.OfferLimits {
	return &partnerv1.OfferLimits{
		PerCustomer: positive[int32](l.PerCustomer), Total: positive[int64](l.Total), PerSession: positive[int32](l.PerSession),
		PerDay: positive[int64](l.PerDay), PerCustomerPerDay: positive[int32](l.PerCustomerPerDay),
	}
}

func stacking(s offers.Stacking) *partnerv1.OfferStacking {
	return &partnerv1.OfferStacking{
		Group: Optional(s.Group), Stackable: proto.Bool(!s.Alone), Exclusive: s.Exclusive, Priority: int32(s.Priority),
	}
}

func funding(f offers.Funding) *partnerv1.OfferFunding {
	return &partnerv1.OfferFunding{BudgetId: Optional(f.BudgetID), FundedBy: Optional(f.FundedBy)}
}

// DefinitionOf reads a definition from a request. Its figures are inside the
// contract's ranges.
func DefinitionOf(req *partnerv1.CreateOfferRequest) offers.Definition {
	return offers.Definition{
		Kind: offers.Kind(req.GetKind()), Name: req.GetName(), Title: req.GetTitle(), Description: req.GetDescription(), Currency: req.GetCurrency(),
		Value: ValueOf(req.GetValue()), Targets: targetsOf(req.GetTargets()), Conditions: conditionsOf(req.GetConditions()),
		Limits: limitsOf(req.GetLimits()), Stacking: stackingOf(req.GetStacking()),
		Funding:    offers.Funding{BudgetID: req.GetFunding().GetBudgetId(), FundedBy: req.GetFunding().GetFundedBy()},
		Window:     offers.Window{StartsAt: Moment(req.GetWindow().GetStartsAt()), EndsAt: Moment(req.GetWindow().GetEndsAt())},
		Redemption: req.GetRedemptionMethods(),
	}
}

// DraftDefinition reads a definition that is tried and not stored.
func DraftDefinition(d *partnerv1.OfferDraft) offers.Definition {
	return offers.Definition{
		Kind: offers.Kind(d.GetKind()), Title: d.GetTitle(), Value: ValueOf(d.GetValue()), Targets: targetsOf(d.GetTargets()),
		Conditions: conditionsOf(d.GetConditions()), Limits: limitsOf(d.GetLimits()), Stacking: stackingOf(d.GetStacking()),
		Funding: offers.Funding{BudgetID: d.GetFunding().GetBudgetId(), FundedBy: d.GetFunding().GetFundedBy()},
		Window:  offers.Window{StartsAt: Moment(d.GetWindow().GetStartsAt()), EndsAt: Moment(d.GetWindow().GetEndsAt())},
	}
}

// ValueOf reads a value from a request.
func ValueOf(v *partnerv1.OfferValueSpec) offers.Value {
	return offers.Value{
		Type: offers.ValueType(v.GetType()), AmountMinor: v.GetAmountMinor(), PercentBP: int64(v.GetPercentBp()), Points: v.GetPoints(),
		Per: offers.Per(v.GetPer()), MaxDiscountMinor: v.GetMaxDiscountMinor(), FreeQuantity: int64(v.GetFreeQuantity()),
	}
}

func targetsOf(t *partnerv1.OfferTargets) offers.Targets {
	return offers.Targets{
		SKUs: t.GetSkus(), Categories: t.GetCategories(), BasketWide: t.GetBasketWide(), ExcludeSKUs: t.GetExcludeSkus(),
		ExcludeCategories: t.GetExcludeCategories(), Segments: t.GetSegments(), Tiers: t.GetTiers(),
	}
}

func conditionsOf(c *partnerv1.OfferConditions) offers.Conditions {
	out := offers.Conditions{
		MinBasketMinor: c.GetMinBasketMinor(), MinQuantity: int64(c.GetMinQuantity()), Days: c.GetDaysOfWeek(), Channels: c.GetChannels(),
		BranchIDs: c.GetBranchIds(), CustomerStates: c.GetCustomerStates(), NewCustomersOnly: c.GetNewCustomersOnly(), Rule: c.GetRule(),
	}
	if w := c.GetTimeWindow(); w != nil {
		out.TimeWindow = &offers.TimeWindow{From: minuteOf(w.GetFrom()), To: minuteOf(w.GetTo())}
	}
	return out
}

// minuteOf reads HH:MM, whose form the contract has checked.
func minuteOf(s string) int {
	if len(s) != len("00:00") {
		return -1 // refused by the definition's own rules
	}
	digit := func(i int) int { return int(s[i] - '0') }
	return (digit(0)*10+digit(1))*60 + digit(3)*10 + digit(4)
}

func limitsOf(l *partnerv1.OfferLimits) offers.Limits {
	return offers.Limits{
		PerCustomer: int64(l.GetPerCustomer()), Total: l.GetTotal(), PerSession: int64(l.GetPerSession()),
		PerDay: l.GetPerDay(), PerCustomerPerDay: int64(l.GetPerCustomerPerDay()),
	}
}

func stackingOf(s *partnerv1.OfferStacking) offers.Stacking {
	return offers.Stacking{
		Group: s.GetGroup(), Alone: s != nil && s.Stackable != nil && !s.GetStackable(), Exclusive: s.GetExclusive(), Priority: int64(s.GetPriority()),
	}
}

// Budget is an envelope with its standing at a time.
func Budget(b offers.Budget, at time.Time) *partnerv1.Budget {
	return &partnerv1.Budget{
		BudgetId: b.ID, Name: b.Name, Status: b.StatusAt(at), Currency: b.Currency, CapMinor: b.CapMinor, CommittedMinor: b.CommittedMinor,
		SpentMinor: b.SpentMinor, AvailableMinor: b.AvailableMinor(), LowThresholdBp: int32(b.LowThresholdBP), FundedBy: b.FundedBy,
		StartsAt: timestamppb.New(b.StartsAt), EndsAt: Stamp(b.EndsAt), MerchantId: b.Tenant.MerchantID, BrandId: Optional(b.BrandID),
		CreatedAt: timestamppb.New(b.CreatedAt), UpdatedAt: timestamppb.New(b.UpdatedAt),
	}
}

// Movements are what moved a budget, latest first.
func Movements(all []offers.Movement) []*partnerv1.BudgetMovement {
	out := make([]*partnerv1.BudgetMovement, 0, len(all))
	for _, m := range all {
		out = append(out, &partnerv1.BudgetMovement{
			MovementId: m.ID, Type: m.Type, AmountMinor: m.AmountMinor, AvailableAfterMinor: m.AvailableAfterMinor,
			ReferenceId: Optional(m.ReferenceID), Reason: Optional(m.Reason), OccurredAt: timestamppb.New(m.At),
		})
	}
	return slices.Clip(out)
}

// ChangeOf reads a change of a definition from a request: members left out
// stay as they are, those given replace theirs as a whole.
func ChangeOf(req *partnerv1.UpdateOfferRequest) func(*offers.Definition) {
	return func(d *offers.Definition) {
		replace(&d.Title, req.Title)
		replace(&d.Description, req.Description)
		replace(&d.Name, req.Name)
		if req.Value != nil {
			d.Value = ValueOf(req.GetValue())
		}
		if req.Targets != nil {
			d.Targets = targetsOf(req.GetTargets())
		}
		if req.Conditions != nil {
			d.Conditions = conditionsOf(req.GetConditions())
		}
		if req.Limits != nil {
			d.Limits = limitsOf(req.GetLimits())
		}
		if req.Stacking != nil {
			d.Stacking = stackingOf(req.GetStacking())
		}
		if req.Funding != nil {
			d.Funding = offers.Funding{BudgetID: req.GetFunding().GetBudgetId(), FundedBy: req.GetFunding().GetFundedBy()}
		}
		if req.Window != nil {
			d.Window = offers.Window{StartsAt: Moment(req.GetWindow().GetStartsAt()), EndsAt: Moment(req.GetWindow().GetEndsAt())}
		}
	}
}

func replace(to, with *string) {
	if with != nil {
		*to = *with
	}
}
