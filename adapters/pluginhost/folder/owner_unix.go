//go:build unix

package folder

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// own makes a folder's owner file. It has its name only once it is locked: others
// must not take the folder for a leftover.
func own(path string) (*os.File, error) {
	fresh := filepath.Join(path, "new")
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if !lock(f) {
		return f, errors.New("its owner file cannot be locked")
	}
	return f, os.Rename(fresh, filepath.Join(path, owner))
}

// lock locks a file until it is closed or the process ends; false where somebody
// else has it.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// sweep removes the folders of hosts that are no more. What it cannot judge or
// remove stays: it is in nobody's way. It follows no link and waits for nobody, since
// anyone may put something of such a name into the temporary directory.
func sweep(base string) {
	found, _ := filepath.Glob(filepath.Join(base, prefix+"*", owner)) // only a bad pattern is an error
	for _, file := range found {
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		f, err := os.OpenFile(file, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if lock(f) {
			_ = os.RemoveAll(filepath.Dir(file))
		}
		_ = f.Close()
	}
}
