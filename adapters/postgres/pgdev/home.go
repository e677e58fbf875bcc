package pgdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// longestSocketDir keeps the socket's path within the kernel's limit (108 bytes
// on Linux, 104 elsewhere, of which the file name takes 18).
const longestSocketDir = 84

// home is a server's directory, locked and opened for one run.
//
// The server gets its directories as inherited descriptors, not as paths, so
// that it needs no leave to walk there: the user it runs as may not be able to
// enter the folders above. The lock is inherited too, so that it is free
// exactly when the last process of the server is gone.
type home struct {
	place
	who          identity
	socketDir    string // as clients see it
	dataInside   string // as the server sees it
	socketInside string
	files        []*os.File // data, socket, lock, and for a temporary home the keeper's pipe
}

// openHome makes what is missing in o.Dir, waits for the last server there to
// be gone, and clears what a killed one left.
func openHome(ctx context.Context, o Options, who identity) (*home, error) {
	h := &home{who: who}
	var err error
	if h.root, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		if h.root, err = os.MkdirTemp(temporaryBase(o.Durable), "feddi-pg-"); err != nil {
			return nil, err
		}
	}
	if err := h.prepare(ctx, o.Dir == ""); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *home) prepare(ctx context.Context, temporary bool) error {
	if err := os.MkdirAll(h.root, 0o700); err != nil {
		return err
	}
	lock, err := acquire(ctx, h.place)
	if err != nil {
		return err
	}
	h.files = []*os.File{nil, nil, lock}
	if h.socketDir, err = h.shortSocketDir(); err != nil {
		return err
	}
	if h.files[0], err = h.open(h.data()); err != nil {
		return err
	}
	if h.files[1], err = h.open(h.socketDir); err != nil {
		return err
	}
	h.dataInside, h.socketInside = inside(3, h.data()), inside(4, h.socketDir)
	switch {
	case temporary:
		err = h.keep(h.root, h.socketDir)
	case h.socketDir != h.socket():
		err = h.keep(h.socketDir)
	}
	if err != nil {
		return err
	}
	return h.clear()
}

// open makes dir, gives it to the server's user and opens it.
func (h *home) open(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := h.who.own(dir); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// shortSocketDir is in the home where its path is short enough, else a new
// directory of this run alone.
func (h *home) shortSocketDir() (string, error) {
	if len(h.socket()) <= longestSocketDir {
		return h.socket(), nil
	}
	return os.MkdirTemp("/tmp", "feddi-s-")
}

// clear removes what a killed server left: we hold the lock, so none runs.
func (h *home) clear() error {
	for _, stale := range []string{
		filepath.Join(h.socketDir, ".s.PGSQL.5432"),
		filepath.Join(h.socketDir, ".s.PGSQL.5432.lock"),
	} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	pidFile := filepath.Join(h.data(), "postmaster.pid")
	pid := firstLine(pidFile)
	if pid == 0 {
		return nil
	}
	if worksIn(pid, h.data()) {
		return fmt.Errorf("a Postgres that feddi did not start (process %d) runs on %s; stop it first", pid, h.data())
	}
	// Postgres would take any process that got this number since for its own.
	return os.Remove(pidFile)
}

// keep has temporary directories removed once nobody holds the pipe any more:
// neither this process nor any process of the server.
func (h *home) keep(dirs ...string) error {
	pipe, err := keeper(`rm -rf -- "$@"`, dirs...)
	if err != nil {
		return err
	}
	h.files = append(h.files, pipe)
	return nil
}

// keeper starts a small shell that runs script once the returned pipe is
// closed by everybody who holds it, by their end at the latest.
func keeper(script string, args ...string) (pipe *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // the keeper has its own
	//nolint:noctx // the keeper outlives whoever started it: that is its purpose
	cmd := exec.Command("/bin/sh", append([]string{"-c", "cat >/dev/null; " + script, "keeper"}, args...)...)
	cmd.Dir, cmd.Stdin = "/", r
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a keeper: %w", err), w.Close())
	}
	return w, cmd.Process.Release()
}

// command runs one of the server's programs as the server's user.
func (h *home) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + filepath.Dir(program) + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/"}
	cmd.ExtraFiles = h.files
	h.who.apply(cmd)
	return cmd
}

// close lets go of the directories and of the lock. What remains of a killed
// server may hold the lock for a moment more; without our number in the file
// the next start waits for it.
func (h *home) close() {
	if len(h.files) > 2 {
		_ = h.files[2].Truncate(0) // a courtesy, see acquire
	}
	for _, f := range h.files {
		if f != nil {
			_ = f.Close() // read-only, or a pipe that nothing was written to
		}
	}
}

// logTail is the end of the server's log, for an error message.
func (h *home) logTail() string {
	text, err := os.ReadFile(h.log())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):])) + " (see " + h.log() + ")"
}

// acquire locks a home. A server whose starter was killed needs a moment to
// end (grace is for the starter itself); one whose starter lives will not end.
func acquire(ctx context.Context, p place) (*os.File, error) {
	f, err := os.OpenFile(p.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	grace, patience := time.Now().Add(500*time.Millisecond), time.After(10*time.Second)
	for {
		if lockFile(f) {
			_ = f.Truncate(0) // the number is a courtesy; the lock is what counts
			_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
			return f, err
		}
		owner := firstLine(p.lock())
		if owner != 0 && alive(owner) && time.Now().After(grace) {
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("another feddi (process %d) runs a database on %s; stop it, or use another directory", owner, p.root)
		}
		select {
		case <-tick.C:
		case <-patience:
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("the last server on %s does not end; look for its processes (see %s)", p.root, p.log())
		case <-ctx.Done():
			_ = f.Close() // nothing was written
			return nil, ctx.Err()
		}
	}
}

// firstLine is the number in a file's first line, 0 for none.
func firstLine(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line))
	return n
}

// emptyDir removes what is in dir.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
