//go:build node

package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestNode installs the Node example's packages, runs its own tests, and has
// feddi examine it. It needs node, npm and a registry: go test -tags node.
func TestNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(in string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	program := filepath.Join(dir, "punchcard-node")
	if err := os.CopyFS(program, os.DirFS("punchcard-node")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(program, "actuator.mjs"), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	run(program, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	run(program, "npm", "test")
	run("../..", "go", "build", "-o", filepath.Join(dir, "feddi"), "./cmd/feddi")
	run(dir, filepath.Join(dir, "feddi"), "actuator", "verify", filepath.Join(program, "actuator.mjs"))
}
