// Package fault_test breaks what the real program stands on, while guests pay
// at it: the server itself, Postgres, the connections between them, the disk,
// the actuators. After each fault the books are held against what the guests
// were told.
package fault_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/feddi/feddi/test/internal/feddid"
	"github.com/feddi/feddi/test/internal/trade"
)

// patience bounds every wait for a condition.
const patience = 30 * time.Second

// TestMain lets the test binary be an actuator too: run with "actuator" and a
// name it is that one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "actuator" {
		act(os.Args[2], os.Args[3:])
		os.Exit(0)
	}
	os.Exit(run(m))
}

// atOnce is how many tests run side by side, on any number of cores: they wait
// for time limits and disks more than they compute.
const atOnce = "4"

func run(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "feddi-fault-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	program = sync.OnceValues(func() (string, error) { return feddid.Build(context.Background(), dir) })
	return m.Run()
}

// program builds the program once, for the tests that need it.
var program func() (string, error)

// system is a running program with a shop that pays at it.
type system struct {
	t      *testing.T
	start  feddid.Options
	server *feddid.Server
	shop   *trade.Shop
}

// launch starts the program on a database, with a shop of n guests.
func launch(t *testing.T, dsn string, n int) *system {
	t.Helper()
	binary, err := program()
	must(t, err)
	s := &system{t: t, start: feddid.Options{Binary: binary, DSN: dsn, DataDir: t.TempDir()}}
	s.server, err = feddid.Start(t.Context(), s.start)
	must(t, err)
	t.Cleanup(func() { s.server.Kill() })
	s.shop, err = trade.Open(t.Context(), s.server.URL)
	must(t, err)
	t.Cleanup(s.shop.Close)
	must(t, s.shop.Enrol(t.Context(), n, 10_000_000))
	return s
}

// again starts the program anew, after its end, as an init system would.
func (s *system) again() {
	s.t.Helper()
	var err error
	s.server, err = feddid.Start(s.t.Context(), s.start)
	must(s.t, err)
	s.shop.Move(s.server.URL)
}

// settle ends a load once the system is well: it finishes what is open, and
// holds the books at dsn against all answers.
func (s *system) settle(load *trade.Load, dsn string) {
	s.t.Helper()
	payments, counts, err := load.Stop()
	must(s.t, err)
	s.balance(payments, counts, dsn)
}

// balance is settle for payments of any kind of load.
func (s *system) balance(payments []*trade.Payment, counts trade.Counts, dsn string) {
	s.t.Helper()
	repeated, err := s.shop.Settle(s.t.Context(), payments)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.log())
	}
	if err := books(s.t, dsn).Agree(s.t.Context(), payments, s.shop.Guests); err != nil {
		s.t.Errorf("%v\n%s", err, s.log())
	}
	s.t.Logf("%d payments, %d of them finished by repeating them; answered %+v", len(payments), repeated, counts)
}

// log is the end of what the program printed.
func (s *system) log() string {
	text := s.server.Output()
	return text[max(0, len(text)-4000):]
}

// healthy waits until GET /health gives this status.
func (s *system) healthy(status int) {
	s.t.Helper()
	eventually(s.t, func() error {
		got, body := s.server.Health(s.t.Context())
		if got != status {
			return fmt.Errorf("health is %d %s, not %d", got, body, status)
		}
		return nil
	})
}

// books opens the books at dsn until t ends.
func books(t *testing.T, dsn string) *trade.Books {
	t.Helper()
	b, err := trade.OpenBooks(t.Context(), dsn)
	must(t, err)
	t.Cleanup(b.Close)
	return b
}

// eventually waits until check gives no error.
func eventually(t *testing.T, check func() error) {
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
