//go:build !linux

package pluginhost

import "syscall"

// isolates is false: only Linux has namespaces.
func isolates() bool { return false }

func isolate(*syscall.SysProcAttr) {}

// limit does nothing: only Linux can limit another process. The memory, files
// and time of actuators are then bounded by what the operator sets for the
// whole service.
func limit(int, Limits) error { return nil }
