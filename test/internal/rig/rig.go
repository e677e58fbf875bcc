// Package rig puts the real program on a database of a test's, with a shop that
// pays at it, and takes it through faults.
package rig

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/feddi/feddi/test/internal/feddid"
	"github.com/feddi/feddi/test/internal/line"
	"github.com/feddi/feddi/test/internal/trade"
)

// patience bounds every wait for a condition.
const patience = 30 * time.Second

// System is a running program with a shop that pays at it.
type System struct {
	t     *testing.T
	start feddid.Options
	// Server is the present one; see Again.
	Server *feddid.Server
	Shop   *trade.Shop
}

// Launch starts a program on a database, with a shop of n guests. It ends with t.
func Launch(t *testing.T, binary, dsn string, n int) *System {
	t.Helper()
	s := &System{t: t, start: feddid.Options{Binary: binary, DSN: dsn, DataDir: t.TempDir()}}
	var err error
	s.Server, err = feddid.Start(t.Context(), s.start)
	Must(t, err)
	t.Cleanup(func() {
		s.Server.Kill()
		if err := s.Server.Race(); err != nil {
			t.Error(err)
		}
	})
	s.Shop, err = trade.Open(t.Context(), s.Server.URL)
	Must(t, err)
	t.Cleanup(s.Shop.Close)
	Must(t, s.Shop.Enrol(t.Context(), n, 10_000_000))
	return s
}

// Again starts the program anew, after its end, as an init system would.
func (s *System) Again() {
	s.t.Helper()
	Must(s.t, s.Server.Race())
	var err error
	s.Server, err = feddid.Start(s.t.Context(), s.start)
	Must(s.t, err)
	s.Shop.Move(s.Server.URL)
}

// Settle ends a load once the system is well: it finishes what is open, and
// holds the books at dsn against all answers.
func (s *System) Settle(load *trade.Load, dsn string) {
	s.t.Helper()
	told, counts, err := load.Stop()
	Must(s.t, err)
	s.Balance(told, counts, dsn)
}

// Balance is Settle for any kind of load.
func (s *System) Balance(told trade.Told, counts trade.Counts, dsn string) {
	s.t.Helper()
	repeated, err := s.Shop.Settle(s.t.Context(), told)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.log())
	}
	if err := Books(s.t, dsn).Agree(s.t.Context(), told, s.Shop.Guests); err != nil {
		s.t.Errorf("%v\n%s", err, s.log())
	}
	s.t.Logf("%d payments and %d top-ups, %d of them finished by repeating them; answered %+v", len(told.Payments), len(told.Topups), repeated, counts)
}

// log is the end of what the program printed.
func (s *System) log() string {
	text := s.Server.Output()
	return text[max(0, len(text)-4000):]
}

// Healthy waits until GET /health gives this status.
func (s *System) Healthy(status int) {
	s.t.Helper()
	Eventually(s.t, func() error {
		got, body := s.Server.Health(s.t.Context())
		if got != status {
			return fmt.Errorf("health is %d %s, not %d", got, body, status)
		}
		return nil
	})
}

// Books opens the books at dsn until t ends.
func Books(t *testing.T, dsn string) *trade.Books {
	t.Helper()
	b, err := trade.OpenBooks(t.Context(), dsn)
	Must(t, err)
	t.Cleanup(b.Close)
	return b
}

// Eventually waits until check gives no error.
func Eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("still not after %s: %v", patience, err)
		case <-tick.C:
		}
	}
}

// Must ends the test where something failed that is not under test.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// LineTo is a line to a database until t ends, and its address. backend is asked
// anew for each connection.
func LineTo(t *testing.T, backend func() (string, error)) (*line.Line, string) {
	t.Helper()
	l, err := line.Open(backend)
	Must(t, err)
	t.Cleanup(l.Close)
	dsn, err := l.DSN()
	Must(t, err)
	return l, dsn
}

// NotRun skips a test that this machine has no means for. The go command shows
// no reason of a skipped test unless it is asked for every line, so the line
// also goes to the file that FEDDI_NOT_RUN names.
func NotRun(t *testing.T, format string, args ...any) {
	t.Helper()
	line := "NOT RUN: " + fmt.Sprintf(format, args...)
	if path := os.Getenv("FEDDI_NOT_RUN"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		Must(t, err)
		_, err = fmt.Fprintln(f, line)
		Must(t, errors.Join(err, f.Close()))
	}
	t.Skip(line)
}
