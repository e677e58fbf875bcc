// Package folder makes the private directories of hosts, in which the sockets of
// their actuators are, and removes those of hosts that were killed.
package folder

import (
	"errors"
	"os"
	"path/filepath"
)

// prefix is how the directories of hosts begin; owner is the file in each that its
// host keeps locked for as long as it lives.
const (
	prefix = "feddi-actuators-"
	owner  = "owner"
)

// Folder is a host's private directory.
type Folder struct {
	Path string
	lock *os.File
}

// Make makes one in base (default the system's temporary directory), after it has
// removed those that killed hosts left there. Remove it.
func Make(base string) (*Folder, error) {
	if base == "" {
		base = os.TempDir()
	}
	sweep(base)
	path, err := os.MkdirTemp(base, prefix)
	if err != nil {
		return nil, err
	}
	f := &Folder{Path: path}
	// It has its name only once it is locked: others must not take it for a leftover.
	fresh := filepath.Join(path, "new")
	f.lock, err = os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil && !lock(f.lock) {
		err = errors.New("its owner file cannot be locked")
	}
	if err == nil {
		err = os.Rename(fresh, filepath.Join(path, owner))
	}
	if err != nil {
		return nil, errors.Join(err, f.Remove())
	}
	return f, nil
}

// Remove removes it with all that is in it.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.Path)
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return err
}

// sweep removes the directories of hosts that are no more. What it cannot judge or
// remove stays: it is in nobody's way.
func sweep(base string) {
	found, _ := filepath.Glob(filepath.Join(base, prefix+"*")) // only a bad pattern is an error
	for _, path := range found {
		if info, err := os.Lstat(path); err != nil || !info.IsDir() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(path, owner), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lock(f) {
			_ = os.RemoveAll(path)
		}
		_ = f.Close()
	}
}
