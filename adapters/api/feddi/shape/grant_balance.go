package shape

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/ledger"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Grant is a lot of promotional credit.
func Grant(g ledger.Grant) *partnerv1.Grant {
	return &partnerv1.Grant{
		GrantId: g.ID, CustomerId: g.CustomerID, Source: string(g.Source), State: string(g.State),
		AmountMinor: g.AmountMinor, RemainingMinor: g.RemainingMinor, Currency: g.Currency,
		ExpiresAt: Stamp(g.ExpiresAt), CreatedAt: timestamppb.New(g.CreatedAt), ReleasedAt: Stamp(g.ReleasedAt),
		BudgetId: Optional(g.BudgetID), OriginId: Optional(g.OriginID),
	}
}

// Grants are lots of promotional credit.
func Grants(list []ledger.Grant) []*partnerv1.Grant {
	out := make([]*partnerv1.Grant, 0, len(list))
	for _, g := range list {
		out = append(out, Grant(g))
	}
	return out
}

// Balance is a wallet. Take the balance at an instant (Balance.At)
// first: what has lapsed is not shown.
func Balance(b ledger.Balance) *partnerv1.Balance {
	return &partnerv1.Balance{
		ActualMinor: b.ActualMinor, PromoAvailableMinor: b.PromoAvailableMinor, PromoLockedMinor: b.PromoLockedMinor,
		PendingTopupsMinor: b.PendingTopupsMinor, Currency: b.Currency, PromoGrants: Grants(b.Grants),
	}
}
