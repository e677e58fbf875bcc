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

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
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
	return &rule{program: program, plan: planOf(ast), open: readsBasket(ast)}, nil
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
	plan    plan // nil where it has none
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

// Met implements offers.Rule. A plan decides where the rule has one and the
// facts are of the sizes that the estimate bounded it for, so that its cost is
// known without counting; CEL decides everything else.
func (r *rule) Met(ctx context.Context, in offers.RuleInput) (bool, error) {
	facts, ok := in.(*input)
	if !ok {
		return false, errInput
	}
	if r.plan != nil && facts.bounded && ctx.Err() == nil {
		v := view{input: facts}
		if met := r.plan(&v); !v.gaveUp {
			return met, nil
		}
	}
	return r.run(ctx, facts)
}

// run lets CEL decide.
func (r *rule) run(ctx context.Context, facts *input) (bool, error) {
	out, _, err := r.program.ContextEval(ctx, facts.variables())
	if err != nil {
		return false, err
	}
	met, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("celrules: the rule gave a %s", out.Type())
	}
	return met, nil
}
