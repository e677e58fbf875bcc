package report

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Usage is processor time since the machine or a process began, by who used it.
type Usage struct {
	at       time.Time
	known    bool
	busy     time.Duration // the whole machine
	self     time.Duration // this process: server and client
	postgres time.Duration
	others   time.Duration // this process's other children: actuators, pgbench
}

// Share is who used the processors between two Usages.
type Share struct {
	// Known is false where the system does not tell (it is not Linux).
	Known bool `json:"known"`
	// Server holds the client too: they are one process.
	Server    time.Duration `json:"server_ns"`
	Postgres  time.Duration `json:"postgres_ns"`
	Actuators time.Duration `json:"actuators_ns"`
	// Foreign is the share of all processor time that other programs used; a
	// figure measured beside more than a few per cent of it is worth little.
	Foreign float64 `json:"foreign_share"`
}

// tick is what the kernel counts processor time in, on every Linux of today.
const tick = 10 * time.Millisecond

// Now reads who has used how much.
func Now() Usage {
	u := Usage{at: time.Now()}
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	for i, field := range strings.Fields(line) {
		// user, nice, system; then idle and iowait; irq, softirq, steal.
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && i != 4 && i != 5 && i <= 8 {
			u.busy += time.Duration(n) * tick
		}
	}
	u.known = true
	u.family()
	return u
}

// process is one line of the process table.
type process struct {
	pid, parent int
	name        string
	used        time.Duration // with its ended children
}

// family adds up this process and all below it.
func (u *Usage) family() {
	all := processes()
	below := map[int]string{os.Getpid(): "self"}
	for grew := true; grew; { // until no more are found: the table has no order
		grew = false
		for _, p := range all {
			role, ok := below[p.parent]
			if _, known := below[p.pid]; !ok || known {
				continue
			}
			if role == "self" {
				role = "other"
			}
			if strings.HasPrefix(p.name, "postgres") {
				role = "postgres"
			}
			below[p.pid], grew = role, true
		}
	}
	for _, p := range all {
		switch below[p.pid] {
		case "self":
			u.self += p.used
		case "postgres":
			u.postgres += p.used
		case "other":
			u.others += p.used
		}
	}
}

func processes() []process {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	out := make([]process, 0, len(files))
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if p, ok := parse(string(raw)); ok {
			out = append(out, p)
		}
	}
	return out
}

// parse reads "pid (name) state ppid ... utime stime cutime cstime"; the name
// may hold anything, but the last parenthesis ends it.
func parse(line string) (process, bool) {
	open, end := strings.Index(line, "("), strings.LastIndex(line, ")")
	if open < 0 || end < open {
		return process{}, false
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 15 {
		return process{}, false
	}
	p := process{name: line[open+1 : end]}
	p.pid, _ = strconv.Atoi(strings.TrimSpace(line[:open])) // numbers by definition
	p.parent, _ = strconv.Atoi(fields[1])
	// utime and stime, then the same of its ended children.
	for i := 11; i <= 14; i++ {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		p.used += time.Duration(n) * tick
	}
	return p, true
}

// Since is who used the processors from before until u.
func (u Usage) Since(before Usage) Share {
	if !u.known || !before.known {
		return Share{}
	}
	s := Share{
		Known: true, Server: u.self - before.self, Postgres: u.postgres - before.postgres, Actuators: max(0, u.others-before.others),
	}
	// A child that ended in between was counted with its parent: nothing is lost
	// but a postmaster's place in the table.
	ours := s.Server + s.Postgres + s.Actuators
	whole := u.at.Sub(before.at) * time.Duration(runtime.NumCPU())
	if whole > 0 {
		s.Foreign = max(0, float64(u.busy-before.busy-ours)/float64(whole))
	}
	return s
}
