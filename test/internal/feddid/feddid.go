// Package feddid runs the real program for end-to-end tests: it builds the
// binary, starts it as a process of its own, and ends it politely or not.
package feddid

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for the program.
const patience = 30 * time.Second

// Build compiles the program into dir and returns its path. Under the race detector
// the program has it, too: Race tells what it found.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "feddi")
	args := []string{"build"}
	if Raced {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", binary, "github.com/feddi/feddi/cmd/feddi")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return binary, nil
}

// Options say how to start the program.
type Options struct {
	Binary  string // from Build
	DSN     string // DATABASE_URL
	DataDir string // keeps the master key; the same for a restart
	Listen  string // empty for a free port of 127.0.0.1
	// Production runs feddi serve in place of feddi dev.
	Production bool
	Env        []string // added to the environment, where it wins
}

// Server is a running program.
type Server struct {
	// URL is where it listens, for example http://127.0.0.1:40001; set by
	// Start, and by Launch where Options.Listen named the port.
	URL string

	cmd       *exec.Cmd
	listening chan string
	done      chan struct{} // closed once the process has ended
	err       error         // what it ended with; read after done
	output    output
}

// Start starts the program and waits until it says where it listens.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := Launch(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case s.URL = <-s.listening:
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("the program ended before it listened: %w\n%s", s.err, s.Output())
	case <-ctx.Done():
		s.Kill()
		return nil, fmt.Errorf("the program did not listen in time\n%s", s.Output())
	}
}

// Launch starts the program and returns at once. The process outlives ctx.
func Launch(ctx context.Context, o Options) (*Server, error) {
	s := &Server{listening: make(chan string, 1), done: make(chan struct{})}
	listen := "127.0.0.1:0"
	if o.Listen != "" {
		listen, s.URL = o.Listen, "http://"+o.Listen
	}
	args, env := []string{"dev", "--data-dir", o.DataDir}, []string{"FEDDI_RATE_LIMITS=off"}
	if o.Production {
		args, env = []string{"serve"}, nil
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), o.Binary, append(args, "--listen", listen)...)
	s.cmd.Env = slices.Concat(os.Environ(), []string{"DATABASE_URL=" + o.DSN, "FEDDI_LOG_LEVEL=WARN"}, env, o.Env)
	// A killed test run leaves nothing behind. The kernel ties that to the thread
	// which started the process, so one thread stays with it until it ends.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr = &s.output
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := s.cmd.Start()
		if started <- err; err == nil {
			s.watch(stdout)
		}
	}()
	return s, <-started
}

var address = regexp.MustCompile(`^listening (http://\S+)$`)

// watch reads what the program prints, and then how it ended.
func (s *Server) watch(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fmt.Fprintln(&s.output, lines.Text())
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			s.listening <- m[1]
		}
	}
	s.err = s.cmd.Wait()
	close(s.done)
}

// Output is what the program has printed so far, the last MiB of it.
func (s *Server) Output() string { return s.output.String() }

// Race is what the race detector had to say of the program; nil without one.
func (s *Server) Race() error {
	if _, race, found := strings.Cut(s.Output(), "WARNING: DATA RACE"); found {
		return fmt.Errorf("the program has a data race: %s", race)
	}
	return nil
}

// Done is closed once the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Terminate asks the program to drain; Wait tells how that went.
func (s *Server) Terminate() error { return s.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits for the program to end; nil means status 0.
func (s *Server) Wait() error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.done:
		if s.err != nil {
			return fmt.Errorf("the program ended badly: %w\n%s", s.err, s.Output())
		}
		return nil
	case <-timer.C:
		s.Kill()
		return fmt.Errorf("the program did not end in time\n%s", s.Output())
	}
}

// Stop is Terminate and Wait.
func (s *Server) Stop() error { return errors.Join(s.Terminate(), s.Wait()) }

// Kill ends the program at once, as a power cut would, and waits for it to be
// gone. Its actuators end by themselves.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // gone already where this fails
	<-s.done
}

// Actuator is the process id of the program's actuator of that name: the one
// that serves, which is older than its standby.
func (s *Server) Actuator(name string) (int, error) {
	all, err := s.actuators(name)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("the program has no actuator %s", name)
	}
	if err != nil {
		return 0, err
	}
	return all[0], nil
}

// Standby is the process id of the standby of the program's actuator of that name.
func (s *Server) Standby(name string) (int, error) {
	all, err := s.actuators(name)
	if err == nil && len(all) < 2 {
		err = fmt.Errorf("the actuator %s has no standby", name)
	}
	if err != nil {
		return 0, err
	}
	return all[1], nil
}

// actuators are the processes of an actuator, the oldest first.
func (s *Server) actuators(name string) ([]int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.cmd.Process.Pid, s.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		more, err := os.ReadFile(task)
		if err == nil { // a thread may have ended since
			raw = append(append(raw, ' '), more...)
		}
	}
	began := map[int]int64{}
	for _, field := range bytes.Fields(raw) {
		line, err := os.ReadFile("/proc/" + string(field) + "/cmdline")
		if err != nil || !strings.Contains(string(line), "\x00actuator\x00"+name) {
			continue // gone, or another; a dead one has no command line
		}
		pid, err := strconv.Atoi(string(field))
		if err != nil {
			return nil, err
		}
		if began[pid], err = start(pid); err != nil {
			delete(began, pid) // gone since
		}
	}
	return slices.SortedFunc(maps.Keys(began), func(a, b int) int { return cmp.Or(cmp.Compare(began[a], began[b]), cmp.Compare(a, b)) }), nil
}

// start is when a process was started, in ticks since the machine was.
func start(pid int) (int64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name may hold anything
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return 0, fmt.Errorf("process %d has no start in %q", pid, stat)
	}
	return strconv.ParseInt(fields[19], 10, 64)
}

// Health asks GET /health once; status 0 means that nobody listens.
func (s *Server) Health(ctx context.Context) (status int, body []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/partner/health", http.NoBody)
	if err != nil {
		return 0, nil
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, _ = io.ReadAll(res.Body) // an answer cut short is judged by its reader
	return res.StatusCode, body
}

// FreePort is an address of 127.0.0.1 that nobody listens on.
func FreePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// output keeps the end of what a program prints.
type output struct {
	mu   sync.Mutex
	text []byte
}

const kept = 1 << 20

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	if len(o.text) > 2*kept {
		o.text = append(o.text[:0], o.text[len(o.text)-kept:]...)
	}
	return len(p), nil
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
