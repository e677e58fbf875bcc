package pluginhost

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strconv"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
)

// Limits bound what one actuator's process may use. A process that goes beyond
// them fails or is killed by the system, and is restarted by the supervisor.
type Limits struct {
	MemoryBytes uint64 // that it may write to
	Files       uint64 // open at once
	FileBytes   uint64 // of any file that it writes
	Processes   uint64 // and threads, of its user; not held for root
	// CPUSeconds is processor time of one life: then it is killed and restarted,
	// which takes less than 100 ms. It ends what spins, whatever else fails.
	CPUSeconds uint64
}

// standard are the limits where a spec names none.
var standard = Limits{MemoryBytes: 1 << 30, Files: 256, FileBytes: 64 << 20, Processes: 512, CPUSeconds: 3600}

func (l Limits) orStandard() Limits {
	for _, n := range []struct {
		at   *uint64
		then uint64
	}{
		{&l.MemoryBytes, standard.MemoryBytes}, {&l.Files, standard.Files}, {&l.FileBytes, standard.FileBytes},
		{&l.Processes, standard.Processes}, {&l.CPUSeconds, standard.CPUSeconds},
	} {
		if *n.at == 0 {
			*n.at = n.then
		}
	}
	return l
}

// confined runs an actuator's command for go-plugin: started, and limited
// before it has answered anything.
type confined struct {
	cmd            *exec.Cmd
	stdout, stderr io.ReadCloser
	limits         *Limits // nil for the host's own
}

// confine is go-plugin's RunnerFunc for cmd. given has the environment that
// go-plugin speaks to the actuator by.
func confine(cmd *exec.Cmd, limits *Limits) func(hclog.Logger, *exec.Cmd, string) (runner.Runner, error) {
	return func(_ hclog.Logger, given *exec.Cmd, _ string) (runner.Runner, error) {
		cmd.Env = append(cmd.Env, given.Env...)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		stderr, err := cmd.StderrPipe()
		return &confined{cmd: cmd, stdout: stdout, stderr: stderr, limits: limits}, err
	}
}

// Start implements runner.Runner.
func (c *confined) Start(context.Context) error {
	if err := c.cmd.Start(); err != nil {
		return err
	}
	if c.limits == nil {
		return nil
	}
	if err := limit(c.cmd.Process.Pid, *c.limits); err != nil {
		killGroup(c.cmd.Process.Pid)
		return errors.Join(errors.New("limiting it"), err, c.cmd.Wait())
	}
	return nil
}

// Wait implements runner.Runner.
func (c *confined) Wait(context.Context) error { return c.cmd.Wait() }

// Kill implements runner.Runner: the process and whatever it started.
func (c *confined) Kill(context.Context) error {
	if c.cmd.Process != nil {
		killGroup(c.cmd.Process.Pid)
	}
	return nil
}

// Stdout implements runner.Runner.
func (c *confined) Stdout() io.ReadCloser { return c.stdout }

// Stderr implements runner.Runner.
func (c *confined) Stderr() io.ReadCloser { return c.stderr }

// Name implements runner.Runner.
func (c *confined) Name() string { return c.cmd.Path }

// ID implements runner.Runner.
func (c *confined) ID() string {
	if c.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(c.cmd.Process.Pid)
}

// Diagnose implements runner.Runner.
func (c *confined) Diagnose(context.Context) string {
	return "it printed something else than the handshake, or nothing; an actuator's main only calls sdk.Serve and prints nothing to standard output"
}

// PluginToHost implements runner.Runner: paths are the same on both sides.
func (*confined) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.Runner.
func (*confined) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
