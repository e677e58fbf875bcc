//go:build unix && !linux

package pluginhost

import "syscall"

// processAttributes gives the actuator a process group of its own; that it dies
// with the host is left to the SDK, which watches its parent.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends the process and whatever it started.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
