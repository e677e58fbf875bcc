package celrules

import (
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"

	"github.com/feddi/feddi/core/offers"
)

// input is the facts of one evaluation. Safe for concurrent use.
type input struct {
	f       *offers.Facts
	units   int64 // of all lines
	bounded bool  // no larger than the estimate takes facts to be

	once sync.Once
	vars map[string]any // what CEL reads; made when a rule without a plan asks
}

// Bind implements offers.RuleCompiler.
func (c *Compiler) Bind(f *offers.Facts) offers.RuleInput {
	in := &input{f: f, bounded: bounded(f)}
	for i := range f.Lines {
		in.units += f.Lines[i].Quantity
	}
	return in
}

// bounded reports whether f is no larger than the estimate takes facts to be.
func bounded(f *offers.Facts) bool {
	who := &f.Customer
	if len(f.Lines) > maxLines || len(who.Segments) > maxSegments ||
		!short(who.State, who.Tier, f.Channel, f.Currency, f.BrandID, f.BranchID, f.Local.Day) || !short(who.Segments...) {
		return false
	}
	for i := range f.Lines {
		if l := &f.Lines[i]; len(l.LineID) > maxText || len(l.SKU) > maxText || len(l.Category) > maxText {
			return false
		}
	}
	return true
}

func short(texts ...string) bool {
	for _, s := range texts {
		if len(s) > maxText {
			return false
		}
	}
	return true
}

// variables are the facts in the form that CEL reads.
func (in *input) variables() map[string]any {
	in.once.Do(func() { in.vars = variables(in.f, in.units) })
	return in.vars
}

func variables(f *offers.Facts, units int64) map[string]any {
	b := &Basket{TotalMinor: f.Total, Quantity: units, Lines: make([]*Line, len(f.Lines)), Revision: f.Revision}
	for i := range f.Lines {
		l := &f.Lines[i]
		b.Lines[i] = &Line{LineID: l.LineID, SKU: l.SKU, Category: l.Category, Quantity: l.Quantity, UnitPriceMinor: l.Unit, NetMinor: l.Net}
	}
	return map[string]any{
		"basket": b,
		"customer": &Customer{
			Identified: f.Customer.ID != "", State: f.Customer.State, Tier: f.Customer.Tier,
			Segments: append([]string{}, f.Customer.Segments...), Transactions: f.Customer.Transactions,
		},
		"session": &Session{
			Channel: f.Channel, Currency: f.Currency, BrandID: f.BrandID, BranchID: f.BranchID,
			Weekday: int64(f.Local.Weekday), Minute: int64(f.Local.Minute), Day: f.Local.Day,
		},
		"now": f.At.UTC().Truncate(time.Microsecond),
	}
}

// Basket is the variable basket. Amounts in minor units.
type Basket struct {
	TotalMinor int64   `cel:"total_minor"` // before offers
	Quantity   int64   `cel:"quantity"`    // units of all lines
	Revision   int64   `cel:"revision"`
	Lines      []*Line `cel:"lines"`
}

// Line is one element of basket.lines.
type Line struct {
	LineID         string `cel:"line_id"`
	SKU            string `cel:"sku"`
	Category       string `cel:"category"` // empty where the till gave none
	Quantity       int64  `cel:"quantity"`
	UnitPriceMinor int64  `cel:"unit_price_minor"`
	NetMinor       int64  `cel:"net_minor"` // less the till's own discount
}

// Customer is the variable customer.
type Customer struct {
	Identified   bool     `cel:"identified"`
	State        string   `cel:"state"` // ANONYMOUS, PENDING_PROOF, VERIFIED
	Tier         string   `cel:"tier"`  // empty where none
	Segments     []string `cel:"segments"`
	Transactions int64    `cel:"transactions"` // earlier ones here, at most 1000
}

// Session is the variable session. Weekday, minute and day are on the
// merchant's clock.
type Session struct {
	Channel  string `cel:"channel"`
	Currency string `cel:"currency"`
	BrandID  string `cel:"brand_id"`
	BranchID string `cel:"branch_id"`
	Weekday  int64  `cel:"weekday"` // 0 Sunday to 6 Saturday
	Minute   int64  `cel:"minute"`  // since midnight
	Day      string `cel:"day"`     // 2026-06-12
}

// How large facts can be, as the contract bounds them.
const (
	maxLines    = 500
	maxSegments = 50
	maxText     = 64 // bytes of an id, a category or a tier
)

// sizes tells them to the estimate.
type sizes struct{}

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	switch strings.Join(path, ".") {
	case "basket.lines":
		return &cost.SizeEstimate{Max: maxLines}
	case "customer.segments":
		return &cost.SizeEstimate{Max: maxSegments}
	}
	if element.Type().IsExactType(cel.StringType) {
		return &cost.SizeEstimate{Max: maxText}
	}
	return nil
}

// EstimateCallCost implements cost.Estimator: the standard costs hold.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
