// Package celrules is the rule language of offers: CEL, in an environment with
// a version. A rule reads the basket, the customer, the session and the time,
// which is an input: there is no now(). What it may cost is bounded twice, by
// an estimate before it is stored and by a limit while it runs, so that the
// worst one a merchant can write stops within milliseconds.
package celrules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/ext"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/offers"
)

// Environment is the version of the variables and of the cost model. It
// changes when a stored rule could come out differently.
const Environment = "offers-cel/1"

// DefaultCostLimit bounds a rule, in units of CEL's cost model (roughly one per
// comparison). A condition on every line of the largest basket costs about
// 20,000; two nested ones cost millions and are refused.
const DefaultCostLimit = 100_000

// interruptEvery is how many rounds of a loop pass between two looks at the context.
const interruptEvery = 64

// maxCached bounds the programs that are kept by their text.
const maxCached = 4096

// Compiler implements offers.RuleCompiler. Programs are shared by expression
// text: offers that use one template cost one program.
type Compiler struct {
	env   *cel.Env
	limit uint64
	sizes sizes

	mu    sync.RWMutex
	cache map[string]*rule
}

var _ offers.RuleCompiler = (*Compiler)(nil)

// New returns a compiler with DefaultCostLimit.
func New() (*Compiler, error) { return NewWithLimit(DefaultCostLimit) }

// NewWithLimit is New with another bound on what a rule may cost.
func NewWithLimit(limit uint64) (*Compiler, error) {
	env, err := cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[Basket](), reflect.TypeFor[Line](), reflect.TypeFor[Customer](), reflect.TypeFor[Session]()),
		cel.Variable("basket", cel.ObjectType("celrules.Basket")),
		cel.Variable("customer", cel.ObjectType("celrules.Customer")),
		cel.Variable("session", cel.ObjectType("celrules.Session")),
		cel.Variable("now", cel.TimestampType),
		cel.ParserRecursionLimit(50),
		cel.ParserExpressionSizeLimit(2_000),
		cel.CostModelVersion(1),
	)
	if err != nil {
		return nil, fmt.Errorf("make the rule environment: %w", err)
	}
	return &Compiler{env: env, limit: limit, cache: map[string]*rule{}}, nil
}

// Environment implements offers.RuleCompiler.
func (c *Compiler) Environment() string { return Environment }

// Compile implements offers.RuleCompiler.
func (c *Compiler) Compile(expression string) (offers.Rule, error) {
	c.mu.RLock()
	kept := c.cache[expression]
	c.mu.RUnlock()
	if kept != nil {
		return kept, nil
	}
	made, err := c.compile(expression)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cache) >= maxCached {
		clear(c.cache) // those in use live on in their catalogues
	}
	c.cache[expression] = made
	return made, nil
}

func (c *Compiler) compile(expression string) (*rule, error) {
	ast, issues := c.env.Compile(expression)
	if err := issues.Err(); err != nil {
		return nil, invalid("compiles", "the rule does not compile: %s", firstLine(err.Error()))
	}
	if ast.OutputType() != cel.BoolType {
		return nil, invalid("is_bool", "the rule gives %s; it must give true or false", ast.OutputType())
	}
	estimate, err := c.env.EstimateCost(ast, c.sizes)
	if err != nil {
		return nil, invalid("cost", "the rule's cost can't be bounded: %s", firstLine(err.Error()))
	}
	if estimate.Max > c.limit {
		return nil, invalid("cost", "the rule may cost %d on the largest basket, the limit is %d; avoid loops in loops", estimate.Max, c.limit)
	}
	return c.program(ast)
}

// program plans an expression, with the limit while it runs.
func (c *Compiler) program(ast *cel.Ast) (*rule, error) {
	program, err := c.env.Program(ast,
		cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(c.limit), cel.InterruptCheckFrequency(interruptEvery))
	if err != nil {
		return nil, invalid("compiles", "the rule can't be planned: %s", firstLine(err.Error()))
	}
	return &rule{program: program, open: readsBasket(ast)}, nil
}

func invalid(rule, format string, args ...any) error {
	return fault.Field(fault.CodeValidationFailed, "conditions.rule", rule, format, args...)
}

// firstLine leaves CEL's picture of the source out: the caller has it.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimPrefix(line, "ERROR: ")
}

// rule implements offers.Rule.
type rule struct {
	program cel.Program
	open    bool // what it reads is unknown without a basket
}

// NeedsBasket implements offers.Rule.
func (r *rule) NeedsBasket() bool { return r.open }

// readsBasket reports whether an expression reads the basket or the session,
// but for the session's time and currency, which are always known.
func readsBasket(ast *cel.Ast) bool {
	known := map[string]bool{"currency": true, "weekday": true, "minute": true, "day": true}
	session := 0 // mentions of session that are not a known member of it
	basket := false
	celast.PostOrderVisit(ast.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.IdentKind:
			basket = basket || e.AsIdent() == "basket"
			if e.AsIdent() == "session" {
				session++
			}
		case celast.SelectKind:
			s := e.AsSelect()
			if s.Operand().Kind() == celast.IdentKind && s.Operand().AsIdent() == "session" && known[s.FieldName()] {
				session--
			}
		default: // reads no variable of its own
		}
	}))
	return basket || session > 0
}

var errInput = errors.New("celrules: facts of another compiler")

// Met implements offers.Rule.
func (r *rule) Met(ctx context.Context, in offers.RuleInput) (bool, error) {
	vars, ok := in.(map[string]any)
	if !ok {
		return false, errInput
	}
	out, _, err := r.program.ContextEval(ctx, vars)
	if err != nil {
		return false, err
	}
	met, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("celrules: the rule gave a %s", out.Type())
	}
	return met, nil
}

// Bind implements offers.RuleCompiler.
func (c *Compiler) Bind(f *offers.Facts) offers.RuleInput {
	b := &Basket{TotalMinor: f.Total, Lines: make([]*Line, len(f.Lines)), Revision: f.Revision}
	for i := range f.Lines {
		l := &f.Lines[i]
		b.Quantity += l.Quantity
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

// sizes tells the estimate how large the facts can be, as the contract bounds
// them: 500 lines, ids of 64 bytes, 50 segments.
type sizes struct{}

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	switch strings.Join(path, ".") {
	case "basket.lines":
		return &cost.SizeEstimate{Max: 500}
	case "customer.segments":
		return &cost.SizeEstimate{Max: 50}
	}
	if element.Type().IsExactType(cel.StringType) {
		return &cost.SizeEstimate{Max: 64}
	}
	return nil
}

// EstimateCallCost implements cost.Estimator: the standard costs hold.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
