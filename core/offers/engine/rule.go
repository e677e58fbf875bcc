package engine

import (
	"context"

	"github.com/feddi/feddi/core/offers"
)

// brokenRule stands for an expression that does not compile here, for example
// one that was stored for an older environment.
type brokenRule struct{ err error }

// Met implements Rule: it always fails, so the offer is withheld with RULE_FAILED.
func (b brokenRule) Met(context.Context, offers.RuleInput) (bool, error) { return false, b.err }

// NeedsBasket implements Rule: it fails without a basket as well.
func (brokenRule) NeedsBasket() bool { return false }
