package offers

import (
	"context"
	"encoding/json"
	"fmt"
)

// Inputs are what a feed's trace stores: all that decided it. The offers are
// named by their immutable versions.
type Inputs struct {
	Engine           string `json:"engine"`
	Rules            string `json:"rules"` // RuleCompiler.Environment
	CatalogueVersion int64  `json:"catalogue_version"`
	Facts            Facts  `json:"facts"`
	Offers           []Ref  `json:"offers"` // the candidates
}

// Outputs encodes a feed as its trace stores it.
func (f Feed) Outputs() (json.RawMessage, error) { return json.Marshal(f) }

// Replay decides a stored feed again from its inputs and the versions that
// they name, and gives the outputs. versions may hold more; one that is missing
// is an error, since its verdict could not be given.
func Replay(ctx context.Context, in Inputs, versions []Offer, rules RuleCompiler) (json.RawMessage, error) {
	if in.Engine != EngineVersion || in.Rules != rules.Environment() {
		return nil, fmt.Errorf("decided by %s with rules %s; this binary has %s with rules %s", in.Engine, in.Rules, EngineVersion, rules.Environment())
	}
	known := make(map[Ref]Offer, len(versions))
	for _, o := range versions {
		known[Ref{OfferID: o.ID, Version: o.Version}] = o
	}
	candidates := make([]Offer, 0, len(in.Offers))
	for _, ref := range in.Offers {
		o, ok := known[ref]
		if !ok {
			return nil, fmt.Errorf("offer %s has no version %d", ref.OfferID, ref.Version)
		}
		o.Status = Active // it was, or it would not have been a candidate
		candidates = append(candidates, o)
	}
	return NewCatalogue(in.CatalogueVersion, candidates, rules).Evaluate(ctx, &in.Facts).Outputs()
}
