package arch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lines reads a file.
func lines(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(raw), "\n")
}

// maxPackageLines is where a package becomes two (docs/architecture.md).
const maxPackageLines = 1_500

// TestPackagesStaySmall keeps every package within what a reader can hold.
// Blank lines and comments are free: they are what makes it readable.
func TestPackagesStaySmall(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if strings.Contains(p.ImportPath, "/contracts/gen/") {
			continue
		}
		n := 0
		for _, name := range p.GoFiles {
			for _, line := range lines(t, filepath.Join(p.Dir, name)) {
				if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "//") {
					n++
				}
			}
		}
		if n > maxPackageLines {
			t.Errorf("%s has %d lines of code; over %d it is two packages", strings.TrimPrefix(p.ImportPath, module), n, maxPackageLines)
		}
	}
}
