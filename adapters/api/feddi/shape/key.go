package shape

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// APIKey is the metadata of a key; the key itself is never part of it.
func APIKey(k tenancy.APIKey) *partnerv1.ApiKey {
	out := &partnerv1.ApiKey{
		KeyId: k.ID, Name: Optional(k.Name), Prefix: k.Prefix, Scope: string(k.Scope), Status: string(k.Status),
		Mode: string(k.Mode), Operator: k.Operator, IntegrationId: k.PartnerID,
		BrandId: Optional(k.BrandID), BranchId: Optional(k.BranchID),
		CreatedAt: timestamppb.New(k.CreatedAt), LastUsedAt: Stamp(k.LastUsedAt), RevokedAt: Stamp(k.RevokedAt),
		ReplacedByKeyId: Optional(k.ReplacedBy),
	}
	if len(k.Merchants) == 1 {
		out.MerchantId = &k.Merchants[0]
	}
	return out
}
