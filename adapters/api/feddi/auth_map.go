package feddi

import (
	"github.com/feddi/feddi/adapters/api/feddi/shape"

	"github.com/feddi/feddi/core/app/sandbox"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

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
