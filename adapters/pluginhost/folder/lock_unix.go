//go:build unix

package folder

import (
	"os"
	"syscall"
)

// lock locks a file until it is closed or the process ends; false where somebody
// else has it.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
