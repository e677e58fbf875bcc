package folder

import (
	"os"
	"path/filepath"
	"testing"
)

// A host that was killed leaves its directory to the next one; that of a living one,
// one that is being made, a link and what only has such a name stay.
func TestFoldersOfTheDeadAreRemoved(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	put := func(name string, files ...string) string {
		t.Helper()
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(path, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	killed := put(prefix+"1", owner, "socket")
	making, other := put(prefix+"2", "new"), put("feddi-data", owner)
	linked := put(prefix + "3")
	if err := os.Symlink(filepath.Join(other, owner), filepath.Join(linked, owner)); err != nil {
		t.Fatal(err)
	}
	living, err := Make(base)
	if err != nil {
		t.Fatal(err)
	}
	next, err := Make(base)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{killed: false, making: true, other: true, linked: true, living.Path: true, next.Path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", filepath.Base(path), err, want)
		}
	}
	if err := living.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(living.Path); err == nil {
		t.Error("it is there after it was removed")
	}
	if err := next.Remove(); err != nil {
		t.Error(err)
	}
}
