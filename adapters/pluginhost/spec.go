package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/feddi/feddi/adapters/pluginhost/program"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// Spec says how to start an actuator.
type Spec struct {
	// Name that its manifest must have.
	Name string
	// Command is the executable, as an absolute path. Empty means the host's own
	// executable, see Self.
	Command string
	Args    []string
	// SHA256 is the checksum of Command, in hexadecimal; required with it. An
	// executable that does not match is not started.
	// For a script it covers every file of its folder, see package program.
	SHA256 string
	// Confined holds the process to Limits and, where the system allows it, puts
	// it into namespaces of its own, without a network but for Hosts. It is for
	// actuators that are not the platform's.
	Confined bool
	Limits   Limits // zero members are standard
	// Hosts are what it may reach by its gate: name (its port 443) or name:port.
	Hosts []string
	// Manifest, where not nil, is what it declared when it was installed. One
	// that declares anything else is not used.
	Manifest *actuation.Manifest
	// Installation is what a merchant installed; nil for the host's own.
	Installation *actuation.Installation
	// Standby keeps a second process started and described, which takes over at
	// once when the one that serves dies. A plan that was asked of the dead one is
	// asked of it again. It costs the memory of a process.
	Standby bool
}

// Self is the spec of an actuator that is part of the host's own executable,
// which is run again with args. No checksum is needed: on Linux the process is
// made from the very file that the host runs (/proc/self/exe), even after an
// upgrade has put another one in its place.
func Self(name string, args ...string) Spec { return Spec{Name: name, Args: args} }

var (
	specName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	specSum  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (s Spec) check() error {
	switch {
	case !specName.MatchString(s.Name):
		return fmt.Errorf("pluginhost: actuator name %q must be 1 to 40 of a to z, 0 to 9 and hyphen, beginning with a letter", s.Name)
	case s.Command != "" && !filepath.IsAbs(s.Command):
		return fmt.Errorf("pluginhost: actuator %s: the command %q must be an absolute path", s.Name, s.Command)
	case s.Command == "" && s.SHA256 != "":
		return fmt.Errorf("pluginhost: actuator %s has a checksum and no command", s.Name)
	case s.Command != "" && !specSum.MatchString(s.SHA256):
		return fmt.Errorf("pluginhost: actuator %s needs the SHA-256 of %s as 64 lower-case hexadecimal digits", s.Name, s.Command)
	}
	return nil
}

// errUnfit marks what does not become right by starting it again soon.
var errUnfit = errors.New("it cannot be used as it is")

// confined makes the command of one start of a confined actuator, whose
// executable is what was pinned.
func (s Spec) confined(dir string) (*exec.Cmd, error) {
	found, err := program.Inspect(s.Command)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnfit, err)
	}
	if found.SHA256 != s.SHA256 {
		return nil, fmt.Errorf("%w: %s has SHA-256 %s instead of %s: it was changed since it was installed; install it again", plugin.ErrChecksumsDoNotMatch, s.Command, found.SHA256, s.SHA256)
	}
	cmd, _, err := s.command(dir)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, "PATH=/usr/local/bin:/usr/bin:/bin") // a script's interpreter is found by it
	if isolates() {
		isolate(cmd.SysProcAttr)
		// In a namespace of processes nobody has a parent, and the system ends it
		// with the host.
		cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, handshake.ParentEnv+"=") })
	}
	return cmd, nil
}

// command makes the command of one start. sum is what the executable must have,
// nil where it needs none.
func (s Spec) command(dir string) (cmd *exec.Cmd, sum []byte, err error) {
	path := s.Command
	if path == "" {
		path, sum, err = self()
	} else {
		sum, err = hex.DecodeString(s.SHA256)
	}
	if err != nil {
		return nil, nil, err
	}
	cmd = exec.Command(path, s.Args...) //nolint:noctx // the supervisor asks it to end before it kills it; a context would kill at once
	if name, err := os.Executable(); err == nil && s.Command == "" {
		cmd.Args[0] = name // what operators see in a list of processes
	}
	cmd.Dir = dir
	// Nothing of the host's environment: it holds the host's secrets.
	cmd.Env = []string{
		"PLUGIN_UNIX_SOCKET_DIR=" + dir,
		"TMPDIR=" + dir,
		handshake.ParentEnv + "=" + strconv.Itoa(os.Getpid()),
	}
	cmd.SysProcAttr = processAttributes()
	return cmd, sum, nil
}

// ownImage is the running executable, by identity and not by name.
const ownImage = "/proc/self/exe"

// self is the host's own executable. Where the system has no name for the
// running image, its file is pinned by the checksum it has now.
func self() (path string, sum []byte, err error) {
	if _, err := os.Stat(ownImage); err == nil {
		return ownImage, nil, nil
	}
	if path, err = os.Executable(); err != nil {
		return "", nil, fmt.Errorf("pluginhost: finding the host's own executable: %w", err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", nil, errors.Join(errors.New("pluginhost: reading the host's own executable"), err)
	}
	digest := sha256.Sum256(raw)
	return path, digest[:], nil
}
