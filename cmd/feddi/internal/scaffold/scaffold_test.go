package scaffold_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/feddi/feddi/cmd/feddi/internal/scaffold"
)

// inModule runs the go command in a project, without a network.
func inModule(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestTheModuleIsTidy holds that a new actuator builds and passes its tests as
// it is, and that `go mod tidy` has nothing to change. Where it fails after a
// change of Feddi's own go.mod: run go mod tidy in a project made by `feddi
// actuator new`, and copy its go.mod (without the replace, with MODULE and
// VERSION) and go.sum to plugins/examples/module.
func TestTheModuleIsTidy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with a space", "tea-club")
	files, err := scaffold.Project{Name: "tea-club", Dir: dir, Module: "example.com/tea-club", Version: "dev"}.Write()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(files, " "); got != "go.mod go.sum .gitignore README.md main.go punchcard.go punchcard_test.go" {
		t.Errorf("wrote %s", got)
	}
	inModule(t, dir, "mod", "tidy", "-diff")
	inModule(t, dir, "vet", "./...")
	inModule(t, dir, "test", "-count=1", "./...")
	source, err := os.ReadFile(filepath.Join(dir, "punchcard.go"))
	if err != nil || !strings.Contains(string(source), `Name:           "tea-club"`) {
		t.Errorf("the manifest has another name: %v", err)
	}
}

func TestAReleaseNeedsNoSourceTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := (scaffold.Project{Name: "tea", Dir: dir, Version: "1.4.0"}).Write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.Contains(string(text), "github.com/feddi/feddi v1.4.0") || strings.Contains(string(text), "replace") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestWrongArgumentsWriteNothing(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, p := range map[string]scaffold.Project{
		"beginning with a letter": {Name: "Tea Club", Dir: t.TempDir(), Version: "dev"},
		"is no module path":       {Name: "tea", Dir: t.TempDir(), Module: "a b", Version: "dev"},
		"is not empty":            {Name: "tea", Dir: full, Version: "dev"},
		"correct --sdk-path":      {Name: "tea", Dir: t.TempDir(), SDKPath: t.TempDir(), Version: "dev"},
	} {
		if _, err := p.Write(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want one that says %q", p, err, says)
		}
		if entries, _ := os.ReadDir(p.Dir); len(entries) > 1 || (len(entries) == 1 && p.Dir != full) {
			t.Errorf("%s: wrote %v", says, entries)
		}
	}
}
