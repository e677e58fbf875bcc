package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"unsafe"
)

// isolates reports whether the system lets an ordinary process make namespaces.
// It asks by starting a program that does not exist: where the namespaces are
// granted, the failure is that there is no such program.
var isolates = sync.OnceValue(func() bool {
	cmd := exec.Command("/nonexistent/feddi-probe")
	cmd.Err = nil
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	isolate(cmd.SysProcAttr)
	return errors.Is(cmd.Start(), os.ErrNotExist)
})

// isolate puts the process into namespaces of its own: of users (no rights over
// the host's), of processes (whatever it forks dies with it, and it sees no
// other process), of System V IPC, and of networks, where there is no interface
// at all. Its unix sockets are files and work across them; one of them is the
// gate to the hosts that were granted.
func isolate(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
}

// Resources of prlimit(2) that package syscall has no names for.
const (
	rlimitNPROC   = 6
	rlimitMEMLOCK = 8
)

// limit sets the limits of a process that has just been started. Memory is what
// it may write to (RLIMIT_DATA): address space alone says nothing about Go or
// Node, which reserve much more of it than they use.
func limit(pid int, l Limits) error {
	var errs []error
	for resource, most := range map[int]uint64{
		syscall.RLIMIT_DATA: l.MemoryBytes, syscall.RLIMIT_NOFILE: l.Files, syscall.RLIMIT_FSIZE: l.FileBytes,
		syscall.RLIMIT_CPU: l.CPUSeconds, rlimitNPROC: l.Processes, syscall.RLIMIT_CORE: 0, rlimitMEMLOCK: 0,
	} {
		if err := prlimit(pid, resource, most, most); err != nil {
			errs = append(errs, fmt.Errorf("resource %d: %w", resource, err))
		}
	}
	return errors.Join(errs...)
}

// prlimit sets one limit of another process.
func prlimit(pid, resource int, soft, hard uint64) error {
	set := struct{ soft, hard uint64 }{soft, hard}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), uintptr(resource), uintptr(unsafe.Pointer(&set)), 0, 0, 0) //nolint:gosec // prlimit(2) takes a pointer
	if errno != 0 {
		return errno
	}
	return nil
}
