package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startOwn starts a server of programs on o.Dir.
func startOwn(ctx context.Context, o Options, programs programs) (*Server, error) {
	who, err := chooseIdentity(ctx, programs)
	if err != nil {
		return nil, err
	}
	home, err := openHome(ctx, o, who)
	if err != nil {
		return nil, err
	}
	fresh := wroteData(home.root) == 0
	if fresh {
		o.say("make a database in %s", home.root)
		if err := home.fill(ctx, programs, o); err != nil {
			_ = emptyDir(home.data()) // so that the next start begins anew
			home.close()
			return nil, err
		}
	}
	o.say("start Postgres %d", programs.major)
	p, err := home.spawn(programs, o)
	if err != nil {
		home.close()
		return nil, err
	}
	s := &Server{
		dsn:  func(db string) string { return socketDSN(home.socketDir, db) },
		stop: p.stop,
		done: p.done,
		from: fmt.Sprintf("Postgres %d of %s on %s", programs.major, programs.bin, home.root),
	}
	if err := p.ready(ctx, s, fresh && o.Seed == ""); err != nil {
		_ = s.Stop(ctx) // it did not come up: the reason is err
		return nil, err
	}
	return s, nil
}

// process is a running postmaster.
type process struct {
	home *home
	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
}

// spawn starts the postmaster on a thread that lives as long as it does: the
// signal that the kernel sends at a parent's death is tied to the thread.
func (h *home) spawn(programs programs, o Options) (*process, error) {
	log, err := h.openLog()
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	cmd := h.command(context.Background(), filepath.Join(programs.bin, "postgres"), h.settings(o)...)
	cmd.Stdout, cmd.Stderr = log, log
	h.who.bindToParent(cmd, o.Durable)
	p := &process{home: h, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, after the server
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how it ended is in its log
		h.close()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// longestLog is the size at which a start begins the log anew.
const longestLog = 4 << 20

// openLog opens the log for the server, which outlives restarts.
func (h *home) openLog() (*os.File, error) {
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(h.log()); err == nil && info.Size() > longestLog {
		mode |= os.O_TRUNC
	}
	return os.OpenFile(h.log(), mode, 0o600)
}

// settings are the server's command line.
func (h *home) settings(o Options) []string {
	set := []string{
		"listen_addresses=", "unix_socket_directories=" + h.socketInside, "unix_socket_permissions=0700",
		"max_connections=200", "superuser_reserved_connections=3",
		"timezone=UTC", "log_timezone=UTC", "lc_messages=C",
		"logging_collector=off", "log_destination=stderr", "log_min_messages=warning", "log_line_prefix=%m [%p] %a ",
		"idle_in_transaction_session_timeout=60s",
		"wal_level=minimal", "max_wal_senders=0", "jit=off",
	}
	if o.Durable {
		set = append(set, "shared_buffers="+sharedBuffers(), "max_wal_size=4GB", "checkpoint_timeout=15min", "wal_compression=off")
	} else {
		set = append(set, "shared_buffers=64MB", "max_wal_size=1GB", "checkpoint_timeout=1h", "autovacuum=off",
			"dynamic_shared_memory_type=mmap", // in the data directory, so that a killed server leaves none
			"fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	args := []string{"-D", h.dataInside}
	for _, s := range set {
		args = append(args, "-c", s)
	}
	return args
}

// fill makes the data directory of a new server.
func (h *home) fill(ctx context.Context, programs programs, o Options) error {
	if o.Seed == "" {
		return h.initdb(ctx, programs, o)
	}
	if err := os.CopyFS(h.data(), os.DirFS(place{o.Seed}.data())); err != nil {
		return fmt.Errorf("copy the database of %s: %w", o.Seed, err)
	}
	return h.who.give(h.data())
}

// initdb makes the cluster. Trust is enough: the socket is in a directory that
// only this user can enter.
func (h *home) initdb(ctx context.Context, programs programs, o Options) error {
	args := []string{"-D", h.dataInside, "-U", User, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"}
	if !o.Durable {
		args = append(args, "--no-sync", "--wal-segsize=1") // the first segment is written whole
	}
	cmd := h.command(ctx, filepath.Join(programs.bin, "initdb"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", h.data(), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ready waits until the server answers. On a fresh one the database that
// initdb calls postgres becomes Database: a second one would cost a quarter of
// the cold start.
func (p *process) ready(ctx context.Context, s *Server, fresh bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("template1"))
		if err == nil {
			if fresh {
				_, err = conn.Exec(ctx, "ALTER DATABASE postgres RENAME TO "+Database)
			}
			return errors.Join(err, conn.Close(ctx))
		}
		select {
		case <-p.done:
			return fmt.Errorf("postgres ended at its start: %s", p.home.logTail())
		case <-ctx.Done():
			return fmt.Errorf("postgres did not answer in time (%w): %s", ctx.Err(), p.home.logTail())
		case <-tick.C:
		}
	}
}

// stop asks for a fast shutdown, then for an immediate one.
func (p *process) stop(ctx context.Context) error {
	p.once.Do(func() { _ = p.cmd.Process.Signal(syscall.SIGINT) }) // fails only where it is gone
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // as above
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
		_ = p.cmd.Process.Kill() // as above
		<-p.done
	}
	return ctx.Err()
}
