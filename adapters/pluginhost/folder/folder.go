// Package folder makes the private directories of hosts, in which the sockets of
// their actuators are, and removes those of hosts that were killed.
package folder

import (
	"errors"
	"os"
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
	lock *os.File // nil where folders have no owner
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
	if f.lock, err = own(path); err != nil {
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
