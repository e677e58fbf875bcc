package limit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// findPgbench looks beside the installed Postgres programs and in PATH.
func findPgbench() string {
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/pgbench", "/usr/pgsql-*/bin/pgbench",
		"/opt/homebrew/opt/postgresql@*/bin/pgbench", "/usr/local/opt/postgresql@*/bin/pgbench",
	} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { // the pattern is well formed
			slices.Sort(found)
			return found[len(found)-1]
		}
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return ""
	}
	return path
}

// script draws a wallet, an amount and a key, and debits.
func (l *Limit) script() string {
	return fmt.Sprintf("\\set a random(1, 9000000000000000000)\n\\set b random(1, 9000000000000000000)\n"+
		"\\set wallet random(1, %d)\n\\set minor random(1, 500)\n", l.wallets) +
		fmt.Sprintf(statement, ":a::text || '-' || :b::text", ":wallet", ":minor") + ";\n"
}

// leastSeconds is how long pgbench runs at least. Its time runs from before it has
// connected its clients, which takes a second and more where the machine is busy: it
// would say of Postgres that it does nothing, and a row would be made that small.
const leastSeconds = 3

// sampled is the share of transactions that pgbench logs, for the quantiles.
const sampled = 0.2

func (l *Limit) pgbench(ctx context.Context, clients int, d time.Duration) (Measure, error) {
	dir, err := os.MkdirTemp("", "feddi-limit-")
	if err != nil {
		return Measure{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	file := filepath.Join(dir, "debit.sql")
	if err := os.WriteFile(file, []byte(l.script()), 0o600); err != nil {
		return Measure{}, err
	}
	seconds := max(leastSeconds, int(d.Round(time.Second).Seconds()))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.bench, "-n", "-M", "prepared", "-f", file, "-T", strconv.Itoa(seconds),
		"-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, runtime.NumCPU())),
		"-l", "--log-prefix="+filepath.Join(dir, "log"), "--sampling-rate="+strconv.FormatFloat(sampled, 'f', -1, 64), l.db.DSN())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Measure{}, fmt.Errorf("pgbench: %w: %.400s", err, stderr.String())
	}
	m := Measure{Clients: clients}
	if m.Rate, err = rateOf(string(out)); err != nil {
		return m, err
	}
	m.Debits = int64(m.Rate * float64(seconds))
	return m, m.quantiles(dir)
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \((?:without initial connection time|excluding connections establishing)\)`)

func rateOf(out string) (float64, error) {
	found := tps.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench said no tps: %.400s", out)
	}
	return strconv.ParseFloat(found[1], 64)
}

// quantiles reads the logs: client, number, microseconds, ...
func (m *Measure) quantiles(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return err
	}
	var took []int64
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 3 {
				continue
			}
			if us, err := strconv.ParseInt(fields[2], 10, 64); err == nil {
				took = append(took, us)
			}
		}
	}
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	at := func(q float64) time.Duration {
		return time.Duration(took[int(q*float64(len(took)-1))]) * time.Microsecond
	}
	m.P50, m.P99, m.Max = at(0.5), at(0.99), at(1)
	return nil
}
