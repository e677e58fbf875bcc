package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTutorial runs the commands of docs/actuators.md, in order, as they stand
// there, against a running system.
func TestTutorial(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/actuators.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh tutorial\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 6 {
		t.Fatalf("the tutorial has %d blocks", len(blocks))
	}
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1]
	}
	w := start(t)
	mine := w.shop()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "feddi"), fmt.Appendf(nil, "#!/bin/sh\nexec %s \"$@\"\n", self), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "DATABASE_URL="+w.dsn, "MERCHANT="+mine.merchant, "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, says := range []string{"ok  \texample.com/punchcard", "punchcard 1.0.0 can be installed", "shadow      what it would do", "600 minor units", "nothing was committed", "is uninstalled"} {
		if !strings.Contains(string(out), says) {
			t.Errorf("the tutorial does not say %q:\n%s", says, out)
		}
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if n := len([]rune(line)); n > 80 && !strings.Contains(line, "/tmp/") {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
}
