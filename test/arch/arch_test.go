// Package arch_test enforces the dependency rule of docs/architecture.md. Each
// ban carries its reason, and a failure prints it.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/feddi/feddi/"

type pkg struct {
	ImportPath string
	Dir        string
	Name       string
	Doc        string
	Standard   bool
	GoFiles    []string
	Imports    []string
}

// packages lists the module's packages as the go command sees them.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Name,Doc,Standard,GoFiles,Imports", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("go list found %d packages; the test looks in the wrong place", len(all))
	}
	return all
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// rule bans imports from one part of the tree, with the reason.
type rule struct {
	from   string // regexp on the importing package, below the module
	banned string // regexp on the import path
	except string // regexp on the import path that is allowed after all
	why    string
}

var rules = []rule{
	{`^core/`, `^[^/]*\.[^/]*/`, `^github\.com/feddi/feddi/core/`,
		"core is the domain: standard library and core only, so that no technology can leak into a rule"},
	{`^core/`, `^(database/sql|net/http|os|os/exec|log|syscall|net)$`, ``,
		"core knows no SQL, HTTP, environment or process; ports carry them in"},
	{`^core/[^/]+$`, `^github\.com/feddi/feddi/core/app`, ``,
		"core/app stands above the modules; a module that called a use case would turn the spine around"},
	{`^adapters/`, `^github\.com/feddi/feddi/(cmd|plugins/(wallet|cashback|attribution))`, ``,
		"only cmd wires; an adapter that knows a first-party actuator could not run a merchant's"},
	{`^plugins/`, `^github\.com/feddi/feddi/(adapters|cmd)`, ``,
		"an actuator never sees an adapter or a database"},
	{`^plugins/`, `(^database/sql$|jackc/pgx|uptrace/bun|ThreeDotsLabs/watermill|connectrpc\.com)`, ``,
		"an actuator plans from facts; it has no database, no bus and no public surface"},
	{`^plugins/(wallet|cashback|attribution|examples)`, `^github\.com/feddi/feddi/core/`, ``,
		"an actuator imports plugins/sdk only, as a merchant's own does"},
	{`^(core|plugins|cmd|contracts)`, `^testing$`, ``,
		"test helpers in the binary drag test flags along; plugins/sdk/sdktest is the one published suite"},
	{`^adapters/api/`, `(uptrace/bun|jackc/pgx|^database/sql$)`, ``,
		"a door speaks to use cases, never to the database"},
	{`^adapters/(postgres|outbox|webhookhttp|pluginhost|celrules|jwtauth)`, `connectrpc\.com/connect`, ``,
		"connect types stay in adapters/api, so that the move to its next major version is one folder"},
}

func TestDependencyRule(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(from, "plugins/sdk/sdktest") {
			continue // the conformance suite is a test library by design
		}
		for _, imported := range p.Imports {
			for _, r := range rules {
				if !regexp.MustCompile(r.from).MatchString(from) || !regexp.MustCompile(r.banned).MatchString(imported) {
					continue
				}
				if r.except != "" && regexp.MustCompile(r.except).MatchString(imported) {
					continue
				}
				t.Errorf("%s imports %s\n\twhy not: %s", from, imported, r.why)
			}
			if why := crossAdapter(from, imported); why != "" {
				t.Errorf("%s imports %s\n\twhy not: %s", from, imported, why)
			}
		}
	}
}

// crossAdapter bans one adapter importing another. Packages of one technology
// (all below adapters/postgres, or all below adapters/api) are one adapter.
func crossAdapter(from, imported string) string {
	technology := func(path string) string {
		rest, ok := strings.CutPrefix(path, "adapters/")
		if !ok {
			return ""
		}
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	a, b := technology(from), technology(strings.TrimPrefix(imported, module))
	if a == "" || b == "" || a == b {
		return ""
	}
	return "an adapter imports core, the contracts and its one technology; adapters meet in cmd"
}

// TestNoAmbientClock keeps the wall clock and randomness out of the domain, so
// that decisions replay and tests need no sleep.
func TestNoAmbientClock(t *testing.T) {
	t.Parallel()
	ambient := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|NewTimer|NewTicker|Tick)\b`)
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(from, "core/") || from == "core/clock" {
			continue
		}
		for _, name := range p.GoFiles {
			for n, line := range lines(t, filepath.Join(p.Dir, name)) {
				if ambient.MatchString(line) {
					t.Errorf("%s/%s:%d: %s\n\twhy not: core takes the time from core/clock", from, name, n+1, strings.TrimSpace(line))
				}
			}
		}
	}
}

// TestEveryPackageIsDocumented keeps the tree readable from `go doc`.
func TestEveryPackageIsDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if p.Doc == "" && len(p.GoFiles) > 0 && !strings.HasPrefix(from, "contracts/gen/") {
			t.Errorf("%s has no package comment", from)
		}
	}
}
