package pluginhost

import "syscall"

// processAttributes binds the actuator's life to the thread that starts it
// (see supervise) and gives it a process group of its own, so that a Ctrl-C or
// a SIGTERM to the host's group does not reach it while the host drains.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup ends the process and whatever it started.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
