package celrules

import (
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/offers"
)

// A plan is a rule as closures over the facts themselves: typed by CEL's own
// checker, without boxed values, reflection or look-ups by name. It knows the
// forms that rules mostly have; CEL runs all others. It has no errors: where
// one would arise (a sum that overflows, a division by nothing) it gives up,
// and CEL decides. It counts no cost and looks at no context: it is used only
// on facts of the sizes that the estimate bounds the rule for.
type plan func(v *view) bool

// view is what a plan sees while it runs.
type view struct {
	*input
	line    *offers.Line // of the loop at hand
	segment string       // of the loop at hand
	gaveUp  bool
}

type (
	number func(v *view) int64
	text   func(v *view) string
)

// planner makes the plan of one checked expression.
type planner struct {
	ast *celast.AST
	// variable is the name of the loop's element, empty outside of loops; a loop
	// in a loop has no plan.
	variable string
	over     string // what the loop walks: basket.lines or customer.segments
}

// planOf gives the plan of an expression, or nil where it has none.
func planOf(ast *cel.Ast) plan {
	p := &planner{ast: ast.NativeRep()}
	return p.truth(p.ast.Expr())
}

// The members that rules read, by the type that CEL gives them. An element of
// basket.lines is called line here, whatever the rule calls it.
var (
	truths = map[string]plan{
		"customer.identified": func(v *view) bool { return v.f.Customer.ID != "" },
	}
	numbers = map[string]number{
		"basket.total_minor":    func(v *view) int64 { return v.f.Total },
		"basket.quantity":       func(v *view) int64 { return v.units },
		"basket.revision":       func(v *view) int64 { return v.f.Revision },
		"customer.transactions": func(v *view) int64 { return v.f.Customer.Transactions },
		"session.weekday":       func(v *view) int64 { return int64(v.f.Local.Weekday) },
		"session.minute":        func(v *view) int64 { return int64(v.f.Local.Minute) },
		"line.quantity":         func(v *view) int64 { return v.line.Quantity },
		"line.unit_price_minor": func(v *view) int64 { return v.line.Unit },
		"line.net_minor":        func(v *view) int64 { return v.line.Net },
	}
	texts = map[string]text{
		"customer.state":    func(v *view) string { return v.f.Customer.State },
		"customer.tier":     func(v *view) string { return v.f.Customer.Tier },
		"session.channel":   func(v *view) string { return v.f.Channel },
		"session.currency":  func(v *view) string { return v.f.Currency },
		"session.brand_id":  func(v *view) string { return v.f.BrandID },
		"session.branch_id": func(v *view) string { return v.f.BranchID },
		"session.day":       func(v *view) string { return v.f.Local.Day },
		"line.line_id":      func(v *view) string { return v.line.LineID },
		"line.sku":          func(v *view) string { return v.line.SKU },
		"line.category":     func(v *view) string { return v.line.Category },
	}
	// lengths are the lists that a rule may loop over or measure.
	lengths = map[string]number{
		linesOf:    func(v *view) int64 { return int64(len(v.f.Lines)) },
		segmentsOf: func(v *view) int64 { return int64(len(v.f.Customer.Segments)) },
	}
)

const (
	linesOf    = "basket.lines"
	segmentsOf = "customer.segments"
)

// path names the member that e reads, or is empty where it reads none.
func (p *planner) path(e celast.Expr) string {
	if e.Kind() != celast.SelectKind || e.AsSelect().IsTestOnly() || e.AsSelect().Operand().Kind() != celast.IdentKind {
		return ""
	}
	of, name := e.AsSelect().Operand().AsIdent(), e.AsSelect().FieldName()
	if of == p.variable && p.over == linesOf {
		of = "line"
	} else if of == "line" {
		return ""
	}
	return of + "." + name
}

// truth plans an expression of type bool; nil where it has no plan, as all of these.
func (p *planner) truth(e celast.Expr) plan {
	switch e.Kind() {
	case celast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return func(*view) bool { return bool(b) }
		}
	case celast.SelectKind:
		return truths[p.path(e)]
	case celast.ComprehensionKind:
		return p.loop(e.AsComprehension())
	case celast.CallKind:
		return p.call(e)
	default: // lists, maps and structs are no conditions
	}
	return nil
}

// call plans an operator or a function that gives a bool.
func (p *planner) call(e celast.Expr) plan {
	c := e.AsCall()
	switch c.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		return p.junction(c)
	case operators.LogicalNot:
		if of := p.truth(c.Args()[0]); of != nil {
			return func(v *view) bool { return !of(v) }
		}
		return nil
	case operators.Conditional:
		when, then, otherwise := p.truth(c.Args()[0]), p.truth(c.Args()[1]), p.truth(c.Args()[2])
		if when == nil || then == nil || otherwise == nil {
			return nil
		}
		return func(v *view) bool {
			if when(v) {
				return then(v)
			}
			return otherwise(v)
		}
	case operators.In:
		return p.membership(c)
	}
	if c.IsMemberFunction() {
		return p.partOfText(e)
	}
	return p.comparison(e)
}

// junction plans && and ||.
func (p *planner) junction(c celast.CallExpr) plan {
	terms := make([]plan, len(c.Args()))
	for i, a := range c.Args() {
		if terms[i] = p.truth(a); terms[i] == nil {
			return nil
		}
	}
	decides := c.FunctionName() == operators.LogicalOr
	return func(v *view) bool {
		for _, t := range terms {
			if t(v) == decides {
				return decides
			}
		}
		return !decides
	}
}

// comparison plans == != < <= > >= on two numbers or two texts, == and != on
// two conditions.
func (p *planner) comparison(e celast.Expr) plan {
	c := e.AsCall()
	if len(c.Args()) != 2 {
		return nil
	}
	a, b := c.Args()[0], c.Args()[1]
	switch kind := p.ast.GetType(a.ID()); {
	case !kind.IsExactType(p.ast.GetType(b.ID())):
		return nil
	case kind.IsExactType(cel.IntType):
		if x, y := p.number(a), p.number(b); x != nil && y != nil {
			return compared(c.FunctionName(), x, y)
		}
	case kind.IsExactType(cel.StringType):
		if x, y := p.text(a), p.text(b); x != nil && y != nil {
			return compared(c.FunctionName(), x, y)
		}
	case kind.IsExactType(cel.BoolType):
		if x, y := p.truth(a), p.truth(b); x != nil && y != nil {
			return equality(c.FunctionName(), x, y)
		}
	}
	return nil
}

// equality is == and != on two conditions.
func equality(operator string, x, y plan) plan {
	switch operator {
	case operators.Equals:
		return func(v *view) bool { return x(v) == y(v) }
	case operators.NotEquals:
		return func(v *view) bool { return x(v) != y(v) }
	}
	return nil
}

func compared[T int64 | string, F ~func(v *view) T](operator string, x, y F) plan {
	switch operator {
	case operators.Equals:
		return func(v *view) bool { return x(v) == y(v) }
	case operators.NotEquals:
		return func(v *view) bool { return x(v) != y(v) }
	case operators.Less:
		return func(v *view) bool { return x(v) < y(v) }
	case operators.LessEquals:
		return func(v *view) bool { return x(v) <= y(v) }
	case operators.Greater:
		return func(v *view) bool { return x(v) > y(v) }
	case operators.GreaterEquals:
		return func(v *view) bool { return x(v) >= y(v) }
	}
	return nil
}

// membership plans x in ['a', 'b'], x in [1, 2] and x in customer.segments.
func (p *planner) membership(c celast.CallExpr) plan {
	of, list := c.Args()[0], c.Args()[1]
	if t := p.text(of); t != nil {
		if p.path(list) == segmentsOf {
			return func(v *view) bool { return slices.Contains(v.f.Customer.Segments, t(v)) }
		}
		if among, ok := literals[types.String, string](list); ok {
			return func(v *view) bool { return slices.Contains(among, t(v)) }
		}
	}
	if n := p.number(of); n != nil {
		if among, ok := literals[types.Int, int64](list); ok {
			return func(v *view) bool { return slices.Contains(among, n(v)) }
		}
	}
	return nil
}

// literals are the elements of a list that holds nothing but literals of type L.
func literals[L interface {
	ref.Val
	~int64 | ~string
}, T int64 | string](list celast.Expr) ([]T, bool) {
	if list.Kind() != celast.ListKind || len(list.AsList().OptionalIndices()) > 0 {
		return nil, false
	}
	var out []T
	for _, e := range list.AsList().Elements() {
		if e.Kind() != celast.LiteralKind {
			return nil, false
		}
		l, ok := e.AsLiteral().(L)
		if !ok {
			return nil, false
		}
		out = append(out, l.Value().(T))
	}
	return out, true
}

// partOfText plans startsWith, endsWith and contains.
func (p *planner) partOfText(e celast.Expr) plan {
	c := e.AsCall()
	tests := map[string]func(s, part string) bool{
		overloads.StartsWith: strings.HasPrefix, overloads.EndsWith: strings.HasSuffix, overloads.Contains: strings.Contains,
	}
	test := tests[c.FunctionName()]
	if test == nil || len(c.Args()) != 1 {
		return nil
	}
	s, part := p.text(c.Target()), p.text(c.Args()[0])
	if s == nil || part == nil {
		return nil
	}
	return func(v *view) bool { return test(s(v), part(v)) }
}

// number plans an expression of type int.
func (p *planner) number(e celast.Expr) number {
	switch e.Kind() {
	case celast.LiteralKind:
		if n, ok := e.AsLiteral().(types.Int); ok {
			return func(*view) int64 { return int64(n) }
		}
	case celast.SelectKind:
		return numbers[p.path(e)]
	case celast.CallKind:
		return p.arithmetic(e.AsCall())
	default: // nothing else is a number
	}
	return nil
}

// arithmetic plans + - * / % on two numbers, and the size of a list.
func (p *planner) arithmetic(c celast.CallExpr) number {
	switch {
	case c.FunctionName() == overloads.Size && c.IsMemberFunction():
		return lengths[p.path(c.Target())]
	case c.FunctionName() == overloads.Size:
		return lengths[p.path(c.Args()[0])]
	case c.IsMemberFunction() || len(c.Args()) != 2:
		return nil
	}
	x, y := p.number(c.Args()[0]), p.number(c.Args()[1])
	if x == nil || y == nil {
		return nil
	}
	switch c.FunctionName() {
	case operators.Add:
		return checked(x, y, money.Add)
	case operators.Subtract:
		return func(v *view) int64 {
			a, b := x(v), y(v)
			d := a - b
			v.gaveUp = v.gaveUp || (d < a) != (b > 0)
			return d
		}
	case operators.Multiply:
		return checked(x, y, money.Mul)
	case operators.Divide:
		return divided(x, y, func(a, b int64) int64 { return a / b })
	case operators.Modulo:
		return divided(x, y, func(a, b int64) int64 { return a % b })
	}
	return nil
}

func checked(x, y number, op func(a, b int64) (int64, error)) number {
	return func(v *view) int64 {
		n, err := op(x(v), y(v))
		v.gaveUp = v.gaveUp || err != nil
		return n
	}
}

// divided gives up on a divisor of 0, and on one of -1 under which the smallest
// number overflows.
func divided(x, y number, op func(a, b int64) int64) number {
	return func(v *view) int64 {
		a, b := x(v), y(v)
		if b == 0 || b == -1 {
			v.gaveUp = true
			return 0
		}
		return op(a, b)
	}
}

// text plans an expression of type string.
func (p *planner) text(e celast.Expr) text {
	switch e.Kind() {
	case celast.LiteralKind:
		if s, ok := e.AsLiteral().(types.String); ok {
			return func(*view) string { return string(s) }
		}
	case celast.SelectKind:
		return texts[p.path(e)]
	case celast.IdentKind:
		if e.AsIdent() == p.variable && p.over == segmentsOf {
			return func(v *view) string { return v.segment }
		}
	default: // nothing else is a text
	}
	return nil
}

// loop plans all, exists and exists_one, which CEL's macros have turned into
// comprehensions by now. What one begins with tells which it is.
func (p *planner) loop(c celast.ComprehensionExpr) plan {
	over := p.path(c.IterRange())
	if p.variable != "" || lengths[over] == nil || c.HasIterVar2() ||
		c.AccuInit().Kind() != celast.LiteralKind || c.LoopStep().Kind() != celast.CallKind {
		return nil
	}
	body := &planner{ast: p.ast, variable: c.IterVar(), over: over}
	step := c.LoopStep().AsCall() // what has been found so far, and the condition
	switch begin := c.AccuInit().AsLiteral(); {
	case begin == types.True && step.FunctionName() == operators.LogicalAnd:
		if holds := body.truth(step.Args()[1]); holds != nil {
			return func(v *view) bool { return v.count(over, holds, false, 1) == 0 }
		}
	case begin == types.False && step.FunctionName() == operators.LogicalOr:
		if holds := body.truth(step.Args()[1]); holds != nil {
			return func(v *view) bool { return v.count(over, holds, true, 1) == 1 }
		}
	case begin == types.IntZero && step.FunctionName() == operators.Conditional:
		// The condition comes first here, and no element is left out: one that
		// can't be judged would make the whole fail.
		if holds := body.truth(step.Args()[0]); holds != nil {
			return func(v *view) bool { return v.count(over, holds, true, math.MaxInt) == 1 }
		}
	}
	return nil
}

// count counts the elements for which the condition comes out as wanted, up to most.
func (v *view) count(over string, holds plan, wanted bool, most int) int {
	n := 0
	if over == segmentsOf {
		for i := 0; i < len(v.f.Customer.Segments) && n < most; i++ {
			if v.segment = v.f.Customer.Segments[i]; holds(v) == wanted {
				n++
			}
		}
		return n
	}
	for i := 0; i < len(v.f.Lines) && n < most; i++ {
		if v.line = &v.f.Lines[i]; holds(v) == wanted {
			n++
		}
	}
	return n
}
