package arch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// everyTenant are the functions whose statements reach over all tenants, with
// the reason why they may. Everything else that touches a table with a
// tenant_no names the tenant it is for.
var everyTenant = map[string]string{
	// Operators' views of the whole installation; no partner's call reaches them.
	"actuators.Shadows":  "an operator compares an installation's plans over all merchants",
	"actuators.Tell":     "a server tells of its own actuators, whichever merchant's",
	"actuators.Told":     "feddi actuator status and GET /health, for the operator",
	"ledger/audit.Check": "feddi ledger verify counts what it has read",
	"ledger.Decision":    "feddi ledger decision, for the operator",
	"actuators.Unpark":   "feddi actuator, on the operator's machine, names a command of whichever merchant",
	// Work in the background, of ids that the caller of an operation never gives.
	"identity.Sweep":     "what has expired goes, whoever's it was",
	"merging.Sweep":      "notes of merges that cannot be undone any more go, whoever's they were",
	"actuators.Sweep":    "commands that are done go, whoever's they were",
	"settlement.oldest":  "the gathering begins at the first entry there is",
	"settlement.DueRuns": "runs whose worker ended are taken up, whoever's they are",
	"tenancy.seen":       "heartbeats of terminals that were told from their tokens, flushed together",
	"webhooks.waiting":   "one queue per subscription; the worker serves all of them",
	"webhooks.claim":     "the queue of one subscription, found by waiting",
	"webhooks.settle":    "the deliveries that claim has given to this worker",
	"webhooks.disable":   "the worker gives one subscription up",
	// How a tenant is found in the first place: by partner and mode.
	"tenancy.KeyByHash":    "the credential says who calls; before it there is no tenant",
	"tenancy.KeyByID":      "keys are a partner's, bounded by partner and mode",
	"tenancy.Merchants":    "counts the merchants of a partner and mode",
	"tenancy.AddMerchant":  "makes the tenant",
	"tenancy.merchant":     "finds the tenant of a merchant; the caller compares partner and mode",
	"tenancy.EraseSandbox": "finds the tenants of a sandbox's partner",
}

var (
	createdTable = regexp.MustCompile(`(?is)create table (?:if not exists )?(\w+) \((.*?)\n\)`)
	tenantColumn = regexp.MustCompile(`(?m)^\s+tenant_no\s+integer`)
	wholeText    = regexp.MustCompile(`(?i)^\s*(select|insert|update|delete|with|merge)\b`)
	tableUse     = regexp.MustCompile(`(?i)\b(?:from|join|update|into|using)\s+(?:only\s+)?([a-z_]+)\b`)
	// A tenant is named by a condition, or by the row that is written.
	tenantNamed = regexp.MustCompile(`(?is)tenant_no\s*(=|in\b|<>)|using\s*\([^)]*tenant_no|\([^()]*tenant_no[^()]*\)\s*(=|<|>|in\b)|insert\s+into\s+\w+\s*(as\s+\w+\s*)?\([^)]*tenant_no`)
)

// tenantTables are the tables with a tenant_no, as the migrations make them.
func tenantTables(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "adapters/postgres/migrations/*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range createdTable.FindAllStringSubmatch(string(raw), -1) {
			if tenantColumn.MatchString(m[2]) {
				tables = append(tables, m[1])
			}
		}
	}
	if len(tables) < 30 {
		t.Fatalf("only %q have a tenant", tables)
	}
	return tables
}

// The boundary of tenants is a condition of every statement: one that touches a
// tenant's table and names no tenant is a leak waiting for its caller.
func TestEveryStatementNamesItsTenant(t *testing.T) {
	t.Parallel()
	tables := tenantTables(t)
	used, checked := map[string]bool{}, 0
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(from, "adapters/") && !strings.HasPrefix(from, "cmd/") || strings.HasPrefix(from, "cmd/feddi/internal/bench") {
			continue // a bench asks about its own database, and serves nobody
		}
		for _, s := range statements(t, p) {
			touched := s.tables(tables)
			if len(touched) == 0 {
				continue
			}
			checked++
			place := strings.TrimPrefix(from, "adapters/postgres/") + "." + s.function
			switch {
			case tenantNamed.MatchString(s.text):
			case everyTenant[place] != "":
				used[place] = true
			default:
				t.Errorf("%s (%s) touches %s and names no tenant:\n%s", place, s.at, strings.Join(touched, ", "), s.text)
			}
		}
	}
	if checked < 150 {
		t.Errorf("only %d statements were found", checked)
	}
	for place := range everyTenant {
		if !used[place] {
			t.Errorf("%s may reach over all tenants and does not: take it off the list", place)
		}
	}
}

// statement is a text of SQL in the code.
type statement struct {
	text     string
	function string // that it stands in; a constant's name outside of one
	at       string
}

// tables are those of the given ones that the statement touches.
func (s statement) tables(of []string) (out []string) {
	for _, m := range tableUse.FindAllStringSubmatch(s.text, -1) {
		if slices.Contains(of, m[1]) && !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

// statements are the texts of a package: string expressions, put together as
// far as they are constant. What a builder makes (TableExpr) is judged by the
// whole function it stands in.
func statements(t *testing.T, p pkg) (out []statement) {
	t.Helper()
	files := token.NewFileSet()
	w := &sqlWalk{files: files, constants: map[string]ast.Expr{}, parts: map[string]bool{}}
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		w.collect(f)
	}
	for _, f := range parsed {
		for _, d := range f.Decls {
			out = append(out, w.declaration(d)...)
		}
	}
	return out
}

type sqlWalk struct {
	files     *token.FileSet
	constants map[string]ast.Expr // by name
	parts     map[string]bool     // constants that are parts of longer texts
}

// collect finds the constants of a file, and which of them are parts.
func (w *sqlWalk) collect(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) {
					w.constants[name.Name] = n.Values[i]
				}
			}
		case *ast.BinaryExpr:
			for _, side := range []ast.Expr{n.X, n.Y} {
				if name, ok := side.(*ast.Ident); ok {
					w.parts[name.Name] = true
				}
			}
		}
		return true
	})
}

func (w *sqlWalk) declaration(d ast.Decl) (out []statement) {
	name := ""
	if f, ok := d.(*ast.FuncDecl); ok {
		name = f.Name.Name
	}
	ast.Inspect(d, func(n ast.Node) bool {
		at := ""
		if n != nil {
			position := w.files.Position(n.Pos())
			at = fmt.Sprintf("%s:%d", filepath.Base(position.Filename), position.Line)
		}
		switch n := n.(type) {
		case *ast.ValueSpec:
			if name == "" && len(n.Names) == 1 && w.parts[n.Names[0].Name] {
				return false // judged where it is used
			}
			for i, value := range n.Values {
				if text, ok := w.fold(value, 0); ok && name == "" {
					out = append(out, statement{text, n.Names[i].Name, at})
				}
			}
			return name != ""
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "TableExpr" {
				table, _ := w.fold(n.Args[0], 0)
				out = append(out, statement{"from " + table + " " + w.whole(d), name, at})
				return true
			}
		case *ast.BinaryExpr, *ast.BasicLit:
			if text, ok := w.fold(n.(ast.Expr), 0); ok {
				if !wholeText.MatchString(text) { // a part of what a builder makes
					text += " " + w.whole(d)
				}
				out = append(out, statement{text, name, at})
			}
			return false
		}
		return true
	})
	return out
}

// whole is all text inside a function.
func (w *sqlWalk) whole(d ast.Decl) string {
	var b strings.Builder
	ast.Inspect(d, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok {
			text, _ := w.fold(lit, 0)
			b.WriteString(text + "\n")
		}
		return true
	})
	return b.String()
}

// fold puts a string expression together; what is not constant is a blank.
func (w *sqlWalk) fold(e ast.Expr, depth int) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		x, okX := w.fold(e.X, depth)
		y, okY := w.fold(e.Y, depth)
		return x + " " + y, okX || okY
	case *ast.ParenExpr:
		return w.fold(e.X, depth)
	case *ast.Ident:
		if value := w.constants[e.Name]; value != nil && depth < 8 {
			return w.fold(value, depth+1)
		}
	}
	return "", false
}
