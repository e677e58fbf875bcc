package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// memory is what this program may use at most, in bytes: the machine's memory, or
// the limit of the container it is in.
func memory() uint64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	total := uint64(info.Totalram) * uint64(info.Unit) //nolint:unconvert // 32 bits on some machines
	for _, limit := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if raw, err := os.ReadFile(limit); err == nil {
			if most, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); err == nil {
				total = min(total, most)
			}
		}
	}
	return total
}
