package fault_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/test/internal/rig"
	"github.com/feddi/feddi/test/internal/trade"
)

// diskSize leaves a fresh cluster some tens of MiB.
const diskSize = "128m"

// smallDisk is a file system of its own, of diskSize. Where none can be
// mounted, the test is not run, and says so.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	//nolint:gosec // both arguments are ours
	out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+diskSize+",mode=0755", "feddi-fault", dir).CombinedOutput()
	if err != nil {
		rig.NotRun(t, "a full disk needs a small file system, and mounting one needs root: %v: %s", err, strings.TrimSpace(string(out)))
	}
	unmountAfter(t, dir)
	return dir
}

// unmountAfter unmounts dir when t ends. A shell that waits at a pipe does it,
// so that it happens however this process ends.
func unmountAfter(t *testing.T, dir string) {
	t.Helper()
	keeper := exec.Command("/bin/sh", "-c", `cat >/dev/null; exec umount -l "$1"`, "keeper", dir)
	pipe, err := keeper.StdinPipe()
	rig.Must(t, err)
	rig.Must(t, keeper.Start())
	t.Cleanup(func() {
		if err := errors.Join(pipe.Close(), keeper.Wait()); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// ballast fills the file system of dir to the last byte, and returns the file
// to be removed.
func ballast(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	rig.Must(t, err)
	defer f.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		_, err := f.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			block = block[:len(block)/2]
		case err != nil:
			t.Fatal(err)
		}
	}
	return path
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := startPostgres(t, smallDisk(t))
	_, dsn := rig.LineTo(t, p.address)
	s := launch(t, dsn, 8)
	load := s.Shop.Load(ctx, 8)
	rig.Must(t, load.Taken(ctx, 40))

	// No table can grow: payments are refused, what only reads goes on.
	full := ballast(t, p.dir)
	rig.Must(t, load.Refused(ctx, http.StatusServiceUnavailable, 10))
	_, err := s.Shop.Balance(ctx, s.Shop.Guests[0])
	rig.Must(t, err)
	rig.Must(t, os.Remove(full))
	rig.Must(t, load.Taken(ctx, 40))

	// The log cannot grow: Postgres itself gives up, and comes back when there
	// is room again.
	full = ballast(t, p.dir)
	b := rig.Books(t, p.dsn())
	rig.Eventually(t, func() error {
		if err := b.SwitchLog(ctx); err != nil {
			return nil //nolint:nilerr // that is what is waited for
		}
		return errors.New("the log goes on")
	})
	p.ended()
	rig.Must(t, load.Refused(ctx, http.StatusServiceUnavailable, 10))
	rig.Must(t, os.Remove(full))
	p.again()
	rig.Must(t, load.Taken(ctx, 40))
	told, counts, err := load.Stop()
	rig.Must(t, err)
	for status, n := range counts.Refused {
		if status != http.StatusServiceUnavailable {
			t.Errorf("a full disk was answered with status %d, %d times", status, n)
		}
	}
	s.Balance(told, counts, p.dsn())
}

// While one table has no room, what the event log is to bring about waits; no
// event is set aside for it as if it were at fault itself.
func TestTableFull(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := pgtest.DSN(t)
	s := launch(t, dsn, 1)
	b := rig.Books(t, dsn)
	tries, release, err := b.Fill(ctx, "transactions")
	rig.Must(t, err)
	var told trade.Told
	for range 3 {
		p, err := s.Shop.NewPayment(ctx, s.Shop.Guests[0], 500)
		rig.Must(t, err)
		s.Shop.Send(ctx, &p.Intent)
		told.Payments = append(told.Payments, p)
	}
	// Long enough that each of them is tried to the end alone.
	rig.Eventually(t, func() error {
		n, err := tries()
		if err == nil && n < 20 {
			err = fmt.Errorf("it was tried %d times", n)
		}
		return err
	})
	rig.Must(t, release())
	s.Balance(told, trade.Counts{}, dsn)
}
