package feddi

import (
	"github.com/feddi/feddi/adapters/api/feddi/shape"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/feddi/feddi/core/app/sandbox"
	"github.com/feddi/feddi/core/tenancy"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// apiKey is the metadata of a key; the key itself is never part of it.
func apiKey(k tenancy.APIKey) *partnerv1.ApiKey {
	out := &partnerv1.ApiKey{
		KeyId: k.ID, Name: shape.Optional(k.Name), Prefix: k.Prefix, Scope: string(k.Scope), Status: string(k.Status),
		Mode: string(k.Mode), Operator: k.Operator, IntegrationId: k.PartnerID,
		BrandId: shape.Optional(k.BrandID), BranchId: shape.Optional(k.BranchID),
		CreatedAt: timestamppb.New(k.CreatedAt), LastUsedAt: shape.Stamp(k.LastUsedAt), RevokedAt: shape.Stamp(k.RevokedAt),
		ReplacedByKeyId: shape.Optional(k.ReplacedBy),
	}
	if len(k.Merchants) == 1 {
		out.MerchantId = &k.Merchants[0]
	}
	return out
}

func tokenScope(merchant, brand, branch, terminal string) *partnerv1.TerminalTokenScope {
	return &partnerv1.TerminalTokenScope{MerchantId: merchant, BrandId: shape.Optional(brand), BranchId: branch, TerminalId: terminal}
}

func sandboxSeed(s sandbox.Seeded) *partnerv1.SandboxSeed {
	out := &partnerv1.SandboxSeed{Offers: s.Offers, Skus: s.SKUs}
	for _, c := range s.Customers {
		out.Customers = append(out.Customers, &partnerv1.SandboxCustomer{CustomerId: c.ID, Phone: c.Phone})
	}
	return out
}
