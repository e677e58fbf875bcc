// Package e2e_test drives the real program, as a process of its own on a real
// Postgres, over its published surface only: REST and Connect.
//
// One server serves all tests; each test makes a sandbox of its own. Every
// REST exchange of every test is held to the OpenAPI document that this server
// serves (client_test.go), so a test need not say what the document says.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/shape"
	"github.com/feddi/feddi/test/internal/feddid"
)

// patience bounds every wait for a condition.
const patience = time.Minute

// base is where the partner surface lies.
const base = "/v1/partner"

// system is what all tests share; written before the first of them runs.
var system struct {
	binary string
	dsn    string
	dir    string // of the shared server: its binary and its master key
	server *feddid.Server
	spec   *document.Document
	// accounts are the refusals that were seen.
	accounts accounts
}

// TestMain lets the test binary be an actuator too, where it is called as one.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == mute {
		sdk.Serve(silent{})
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	suite := &suite{ctx: context.Background()}
	defer suite.clean()
	if err := start(suite); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	status = m.Run()
	select {
	case <-system.server.Done():
		fmt.Fprintln(os.Stderr, "e2e: the shared server ended while tests ran:", system.server.Wait())
		return 1
	default:
	}
	settled := error(nil)
	if status == 0 || *update {
		settled = system.accounts.settle()
	}
	if err := errors.Join(settled, noDefects(), verifyLedger(system.dsn), system.server.Stop(), system.server.Race()); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return status
}

func start(suite *suite) (err error) {
	dir, err := os.MkdirTemp("", "feddi-e2e-")
	if err != nil {
		return err
	}
	suite.Cleanup(func() { _ = os.RemoveAll(dir) })
	if system.binary, err = feddid.Build(suite.ctx, dir); err != nil {
		return err
	}
	system.dsn, system.dir = pgtest.DSN(suite), dir
	system.server, err = feddid.Start(suite.ctx, feddid.Options{Binary: system.binary, DSN: system.dsn, DataDir: dir})
	if err != nil {
		return err
	}
	suite.Cleanup(system.server.Kill)
	system.spec, err = served(suite.ctx)
	return err
}

// served reads the document that the server serves.
func served(ctx context.Context) (*document.Document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, system.server.URL+base+"/openapi", http.NoBody)
	if err != nil {
		return nil, err
	}
	a, err := exchange(plain, req, nil)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("GET /openapi answered %d: %s", a.Status, a.Raw)
	}
	return document.Read(a.Raw)
}

// noDefects reads the server's log: no call may have failed inside.
func noDefects() error {
	var errs []error
	for line := range splitLines(system.server.Output()) {
		if internalFailure.MatchString(line) {
			errs = append(errs, fmt.Errorf("the server logged a defect: %s", line))
		}
	}
	return errors.Join(errs...)
}

// suite is a testing.TB for what outlives every single test: the database
// below the shared server.
type suite struct {
	testing.TB // nil: only what is below is ever called
	ctx        context.Context
	cleanups   []func()
}

func (s *suite) Helper()                  {}
func (s *suite) Context() context.Context { return s.ctx }
func (s *suite) Cleanup(fn func())        { s.cleanups = append(s.cleanups, fn) }
func (s *suite) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...)
}

// Fatalf ends the run: without a database there is nothing to test.
func (s *suite) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	s.clean()
	os.Exit(1)
}

func (s *suite) clean() {
	for len(s.cleanups) > 0 {
		last := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		last()
	}
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

// want fails the test where a decoded value is not as a shape says.
func want(t *testing.T, what, expected string, got any) {
	t.Helper()
	for _, wrong := range shape.Diff(expected, got) {
		t.Errorf("%s%s", what, wrong)
	}
}
