package fault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pgdev"
	"github.com/feddi/feddi/test/internal/rig"
	"github.com/feddi/feddi/test/internal/trade"
)

// patience bounds a start and an end of Postgres.
const patience = 30 * time.Second

// cluster is a durable Postgres of a test's own, which it may kill.
type cluster struct {
	t   *testing.T
	dir string
	run atomic.Pointer[pgdev.Server] // lines to it ask where it is
}

// startPostgres starts one on dir.
func startPostgres(t *testing.T, dir string) *cluster {
	t.Helper()
	p := &cluster{t: t, dir: dir}
	t.Cleanup(func() {
		if run := p.run.Load(); run != nil {
			_ = run.Stop(context.WithoutCancel(t.Context())) // its directory goes with it
		}
	})
	p.again()
	return p
}

// again starts it anew on what the last one left.
func (p *cluster) again() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	run, err := pgdev.Start(ctx, pgdev.Options{Dir: p.dir, Durable: true, Private: true})
	rig.Must(p.t, err)
	p.run.Store(run)
}

// kill ends it as a power cut would.
func (p *cluster) kill() {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	rig.Must(p.t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	rig.Must(p.t, err)
	rig.Must(p.t, syscall.Kill(pid, syscall.SIGKILL))
	p.ended()
}

// ended waits until it is gone.
func (p *cluster) ended() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	select {
	case <-p.run.Load().Done():
	case <-ctx.Done():
		p.t.Fatal("postgres did not end")
	}
}

func (p *cluster) dsn() string { return p.run.Load().DSN("") }

// address is dsn for a line.
func (p *cluster) address() (string, error) { return p.dsn(), nil }

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "feddi-fault-pg-")
	rig.Must(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestPostgresKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := startPostgres(t, shortDir(t))
	_, dsn := rig.LineTo(t, p.address)
	s := launch(t, dsn, 8)
	load := s.Shop.Load(ctx, 8)
	for range 2 {
		rig.Must(t, load.Taken(ctx, 40))
		p.kill()
		rig.Must(t, load.Refused(ctx, 503, 10))
		s.Healthy(503)
		p.again()
	}
	rig.Must(t, load.Taken(ctx, 40))
	s.Healthy(200)
	s.Settle(load, p.dsn())
}

// Postgres takes all its connections down when one of its own processes dies,
// and recovers by itself.
func TestPostgresCrashesAndRecovers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := startPostgres(t, shortDir(t))
	s := launch(t, p.dsn(), 8)
	load := s.Shop.Load(ctx, 8)
	for range 2 {
		rig.Must(t, load.Taken(ctx, 40))
		rig.Must(t, syscall.Kill(backend(t, p.dsn()), syscall.SIGKILL))
		rig.Must(t, load.Refused(ctx, 503, 1))
	}
	rig.Must(t, load.Taken(ctx, 40))
	s.Settle(load, p.dsn())
}

// backend is the process of one of the connections that payments travel on.
func backend(t *testing.T, dsn string) (pid int) {
	t.Helper()
	rig.Eventually(t, func() error {
		b, err := trade.OpenBooks(t.Context(), dsn)
		if err != nil {
			return err
		}
		defer b.Close()
		pids, err := b.Backends(t.Context(), "feddi payments")
		if err == nil && len(pids) == 0 {
			err = errors.New("no connection is open")
		}
		if err == nil {
			pid = pids[0]
		}
		return err
	})
	return pid
}
