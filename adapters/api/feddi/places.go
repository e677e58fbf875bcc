package feddi

import (
	"context"

	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/tenancy"
)

// Places lets the pipeline ask a directory.
type Places struct{ Directory tenancy.Directory }

// Resolve implements pipeline.Places.
func (p Places) Resolve(ctx context.Context, t tenancy.Tenant, at pipeline.Place) (pipeline.Place, error) {
	found, err := p.Directory.Place(ctx, t.MerchantID, at.BrandID, at.BranchID, at.TerminalID)
	return pipeline.Place{BrandID: found.BrandID, BranchID: found.BranchID, TerminalID: found.TerminalID}, err
}
