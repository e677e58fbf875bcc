//go:build linux

package pgdev_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pgdev"
)

func start(t *testing.T, dir string, durable bool) *pgdev.Server {
	t.Helper()
	s, err := pgdev.Start(t.Context(), pgdev.Options{Dir: dir, Durable: durable, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *pgdev.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// do runs sql on the server's database and returns the first column of its first row, as text.
func do(t *testing.T, dsn, sql string) string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }() // the statement counts
	rows, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		v, err := r.Values()
		return fmt.Sprint(v[0]), err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}

// postmaster is the process id of the server on dir.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestAColdStartIsQuickAndDataSurvivesAStop(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pg")
	began := time.Now()
	s := start(t, dir, true)
	cold := time.Since(began)
	do(t, s.DSN(""), "CREATE TABLE kept AS SELECT 42 AS n")
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if got := do(t, s.DSN(""), "SHOW "+setting); got != "on" {
			t.Errorf("%s = %s on a durable server", setting, got)
		}
	}
	if got := do(t, s.DSN(""), "SHOW listen_addresses"); got != "" {
		t.Errorf("listen_addresses = %q, want a socket only", got)
	}
	stop(t, s)
	stop(t, s) // again does nothing
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Stop")
	}
	began = time.Now()
	s = start(t, dir, true)
	if got := do(t, s.DSN(""), "SELECT n FROM kept"); got != "42" {
		t.Errorf("kept %q", got)
	}
	t.Logf("cold %v, warm %v", cold, time.Since(began))
	if cold > time.Minute { // one to two seconds on a machine of its own; others may be busy on this one
		t.Errorf("a cold start took %v", cold)
	}
}

func TestAKilledServerStartsAgainAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, true)
	do(t, s.DSN(""), "CREATE TABLE kept AS SELECT 42 AS n")
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); err != nil {
		t.Fatalf("the killed server left no postmaster.pid, so this tests nothing: %v", err)
	}
	again := start(t, dir, true)
	if got := do(t, again.DSN(""), "SELECT n FROM kept"); got != "42" {
		t.Errorf("kept %q", got)
	}
}

func TestAStaleNumberOfALivingProcessIsNotBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop(t, start(t, dir, false))
	pidFile := filepath.Join(dir, "data", "postmaster.pid")
	// A process of the server's own user, as after a reboot: Postgres itself would refuse to start.
	other := exec.Command("sleep", "600")
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && st.Uid != 0 {
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	stale := fmt.Sprintf("%d\n/proc/self/fd/3\n1\n5432\n/nowhere\n\n  1  1\n", other.Process.Pid)
	if err := os.WriteFile(pidFile, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, false)
}

func TestTwoServersOnOneDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, false)
	_, err := pgdev.Start(t.Context(), pgdev.Options{Dir: dir, Private: true})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("err = %v, want one that names the process", err)
	}
}

func TestADirectoryThatOnlyItsOwnerCanEnter(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "home", "pg")
	s := start(t, dir, true)
	if got := do(t, s.DSN(""), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	stop(t, s)
	start(t, dir, true)
}

func TestAPathLongerThanASocketMayHave(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	s := start(t, dir, false)
	if got := do(t, s.DSN(""), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	config, err := pgx.ParseConfig(s.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	gone(t, config.Host)
}

func TestStopEndsTheHardWayWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Stop(ctx) // reports that its time was up, or is quicker
	<-s.Done()
}

func TestAnUnusableDirectoryIsExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pgdev.Start(t.Context(), pgdev.Options{Dir: dir, Private: true})
	if err == nil || !strings.Contains(err.Error(), "made by Postgres 9") {
		t.Errorf("err = %v", err)
	}
}

func TestExternalServersKeepTheirAddress(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u:p@h:1/a?sslmode=disable": "postgres://u:p@h:1/b?sslmode=disable",
		"host=/tmp dbname=a":                   "host=/tmp dbname=a dbname=b",
	} {
		s := pgdev.External(dsn)
		if got := s.DSN(""); got != dsn {
			t.Errorf("DSN() = %q, want %q", got, dsn)
		}
		if got := s.DSN("b"); got != want {
			t.Errorf("DSN(b) = %q, want %q", got, want)
		}
		stop(t, s)
	}
}

// The rest runs a process of its own that starts a server, see TestMain.

type starter struct {
	*exec.Cmd
	dsn, dir string
}

// helper starts this test program as a starter of a server on dir ("" for a
// temporary one) and waits for its server.
func helper(t *testing.T, dir string, prepare func(*exec.Cmd)) starter {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+dir+":")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // the helper stops its server when it ends
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the helper started nothing: %v", err)
	}
	dsn := strings.TrimSpace(line)
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return starter{cmd, dsn, filepath.Dir(config.Host)}
}

func TestAServerDiesWithItsStarter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := helper(t, dir, nil)
	do(t, h.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
	server := postmaster(t, dir)
	if err := h.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, true) // at once: it waits for what is left of the old one
	if got := do(t, s.DSN(""), "SELECT n FROM kept"); got != "42" {
		t.Errorf("kept %q", got)
	}
	if postmaster(t, dir) == server {
		t.Errorf("server %d outlived its starter", server)
	}
}

// gone waits until path does not exist.
func gone(t *testing.T, path string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return
		}
		select {
		case <-deadline:
			var left []string
			_ = filepath.WalkDir(path, func(p string, _ fs.DirEntry, _ error) error { left = append(left, p); return nil })
			t.Fatalf("%s is still there: %d entries", path, len(left))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestATemporaryServerLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		s, err := pgdev.Start(t.Context(), pgdev.Options{Private: true})
		if err != nil {
			t.Fatal(err)
		}
		config, err := pgx.ParseConfig(s.DSN(""))
		if err != nil {
			t.Fatal(err)
		}
		stop(t, s)
		gone(t, filepath.Dir(config.Host))
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		h := helper(t, "", nil)
		if err := h.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		gone(t, h.dir)
	})
}
