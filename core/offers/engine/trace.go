package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/feddi/feddi/core/offers"
)

// Version names what decides feeds; it changes when equal facts may give
// another feed. A trace records it.
const Version = "offers/1"

// Inputs are what a feed's trace stores: all that decided it. The offers are
// named by their immutable versions.
type Inputs struct {
	Engine           string       `json:"engine"`
	Rules            string       `json:"rules"` // RuleCompiler.Environment
	CatalogueVersion int64        `json:"catalogue_version"`
	Facts            offers.Facts `json:"facts"`
	Offers           []offers.Ref `json:"offers"` // the candidates
}

// Replay decides a stored feed again from its inputs and the versions that
// they name, and gives the outputs. versions may hold more; one that is missing
// is an error, since its verdict could not be given.
func Replay(ctx context.Context, in Inputs, versions []offers.Offer, rules offers.RuleCompiler) (json.RawMessage, error) {
	if in.Engine != Version || in.Rules != rules.Environment() {
		return nil, fmt.Errorf("decided by %s with rules %s; this binary has %s with rules %s", in.Engine, in.Rules, Version, rules.Environment())
	}
	known := make(map[offers.Ref]offers.Offer, len(versions))
	for _, o := range versions {
		known[offers.Ref{OfferID: o.ID, Version: o.Version}] = o
	}
	candidates := make([]offers.Offer, 0, len(in.Offers))
	for _, ref := range in.Offers {
		o, ok := known[ref]
		if !ok {
			return nil, fmt.Errorf("offer %s has no version %d", ref.OfferID, ref.Version)
		}
		o.Status = offers.Active // it was, or it would not have been a candidate
		candidates = append(candidates, o)
	}
	return New(in.CatalogueVersion, candidates, rules).Evaluate(ctx, &in.Facts).Outputs()
}
