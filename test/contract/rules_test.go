package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rules is how many behavioural rules the system promises to keep.
const rules = 60

var (
	ruleRow  = regexp.MustCompile("(?m)^\\| ([0-9]+) \\| ([^|]+) \\| (`[^|]+`) \\|$")
	ruleTest = regexp.MustCompile(`^TestRule([0-9]{2})_`)
)

// testNames are the tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// docs/rules.md has every rule once, each with a test of its own number, and
// names only tests that there are; and every test of a rule is in the table.
func TestEveryRuleHasItsTest(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	there, listed := testNames(t), map[string]bool{}
	for i, row := range ruleRow.FindAllStringSubmatch(string(page), -1) {
		number, err := strconv.Atoi(row[1])
		if err != nil || number != i+1 {
			t.Fatalf("row %d of docs/rules.md is rule %s", i+1, row[1])
		}
		tests := strings.Split(strings.ReplaceAll(row[3], "`", ""), ", ")
		for _, name := range tests {
			listed[name] = true
			if !there[name] {
				t.Errorf("rule %d names %s, which is no test of this repository", number, name)
			}
		}
		if !slices.ContainsFunc(tests, func(name string) bool { return ruleOf(name) == number }) {
			t.Errorf("rule %d has no test of its own number: %s", number, row[2])
		}
		if i == rules {
			t.Errorf("docs/rules.md has more than %d rules", rules)
		}
	}
	if n := len(ruleRow.FindAllString(string(page), -1)); n != rules {
		t.Errorf("docs/rules.md has %d rules, want %d", n, rules)
	}
	for name := range there {
		if ruleOf(name) > 0 && !listed[name] {
			t.Errorf("%s is the test of a rule and not in docs/rules.md", name)
		}
	}
}

// ruleOf is the number of the rule that a test is of; 0 where of none.
func ruleOf(name string) int {
	m := ruleTest.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // two digits
	return n
}
