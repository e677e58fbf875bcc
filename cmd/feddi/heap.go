package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

// Little is live in this program and much comes and goes, so that the collector's
// own measure, twice what is live, has it collect all the time: it took a fifth of a
// server's processor time under load, and a payment or an offer feed during a
// collection takes two to three times as long as others. Memory that the machine has
// anyway makes collections rare.
const (
	// growth is how much the heap grows beyond what is live, in percent of it.
	growth = 400
	// A server's heap may grow by a fiftieth of the memory more, at most by mostRoom.
	roomShare = 50
	mostRoom  = 480 << 20
)

// collectLess sets the collector, unless GOGC or GOMEMLIMIT says how.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
}

// collectSeldom lets the heap of a server grow by room beyond that, for as long as
// what it returns is kept: it counts as live and, since it is never written, has no
// memory. An actuator has no need of it.
func collectSeldom() (ballast []byte) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, room(memory())*100/growth)
}

// room is what the heap of a server may grow by on a machine of so many bytes.
func room(total uint64) uint64 { return min(total/roomShare, mostRoom) }

// memory is what this program may use at most, in bytes: the machine's memory, or
// the limit of the container it is in.
func memory() uint64 {
	total := pgdev.Memory()
	for _, limit := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		raw, _ := os.ReadFile(limit) // one of them is there, or none
		if most, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); err == nil {
			total = min(total, most)
		}
	}
	return total
}
