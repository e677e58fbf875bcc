package pluginhost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/pluginhost/program"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/fault"
)

// theirs is a spec as a merchant's actuator has it.
func theirs(t *testing.T, args ...string) Spec {
	t.Helper()
	s := own(t, "odd", append([]string{"actuator"}, args...)...)
	s.Confined = true
	return s
}

// annotation reads what the odd actuator says of itself.
func annotation(t *testing.T, p actuation.Plan, err error) map[string]any {
	t.Helper()
	if err != nil || len(p.Effects) == 0 {
		t.Fatalf("%+v %v", p, err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(p.Effects[0].Data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestConfined: what an actuator of a merchant's cannot do on Linux.
func TestConfined(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Fatal("the limits are Linux's; run this test there")
	}
	s := theirs(t, "patient")
	s.Limits = Limits{FileBytes: 1 << 20}
	b := setup(t, Config{Specs: []Spec{s}})
	b.ready(t)

	p, err := b.plan(t.Context(), "environment", "")
	environment, _ := annotation(t, p, err)["environment"].([]any)
	for _, v := range environment {
		name, value, _ := strings.Cut(v.(string), "=")
		if name != "PATH" && name != "TMPDIR" && value != "" && os.Getenv(name) == value {
			t.Errorf("it has %s of the host's environment", name)
		}
	}
	if len(environment) == 0 {
		t.Error("it says nothing of its environment")
	}
	p, err = b.plan(t.Context(), "dial", "")
	if said := annotation(t, p, err); isolates() && said["reached"] != false {
		t.Errorf("it has a network: %v", said)
	}
	p, err = b.plan(t.Context(), "write", "")
	said := annotation(t, p, err)
	if dir := said["dir"].(string); !strings.HasPrefix(dir, b.folder.Path+"/w-") || !strings.Contains(said["error"].(string), "file too large") {
		t.Errorf("it writes %v", said)
	}
	p, err = b.plan(t.Context(), "print", "") // goes to the log, and disturbs nothing
	annotation(t, p, err)
}

// TestForkedChildrenGo: what an actuator forks ends with it.
func TestForkedChildrenGo(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Specs: []Spec{theirs(t, "patient")}})
	b.ready(t)
	p, err := b.plan(t.Context(), "fork", "")
	annotation(t, p, err)
	children := descendants(b.pid(0))
	if len(children) == 0 {
		t.Fatal("it forked no child that can be seen")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, pid := range children {
		eventually(t, func() bool { return !alive(pid) })
	}
}

// descendants are the children of a process, as the system lists them.
func descendants(pid int) []int {
	var out []int
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range threads {
		raw, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(raw)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// TestLimitsEndIt: one that allocates or spins without end is ended by the
// system, its call fails with a type, and it is back at once.
func TestLimitsEndIt(t *testing.T) {
	t.Parallel()
	for what, limits := range map[string]Limits{"allocate": {}, "spin": {CPUSeconds: 1}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := theirs(t, "patient")
			s.Limits = limits
			b := setup(t, Config{Specs: []Spec{s}, BreakerTrips: 100})
			b.ready(t)
			first := b.pid(0)
			if _, err := b.plan(t.Context(), what, ""); !fault.Is(err, fault.CodeActuatorUnavailable) && !fault.Is(err, fault.CodeDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			b.await(t, actuation.StateStarting)
			b.await(t, actuation.StateReady)
			if _, err := b.plan(t.Context(), "", ""); err != nil || b.pid(0) == first {
				t.Errorf("it is not back: %v", err)
			}
		})
	}
}

// TestUnfit: what cannot be installed or started, with words for its author.
func TestUnfit(t *testing.T) {
	t.Parallel()
	changed := theirs(t, "patient")
	changed.SHA256 = strings.Repeat("0", 64)
	missing := theirs(t, "patient")
	missing.Command = filepath.Join(t.TempDir(), "punchcard")
	other := theirs(t, "patient")
	other.Manifest = &actuation.Manifest{Name: "odd", Version: "0.9.0"}
	for name, c := range map[string]struct {
		spec Spec
		says string
	}{
		"missing":                 {missing, "build the actuator first"},
		"changed since install":   {changed, "it was changed since it was installed"},
		"manifest since install":  {other, "it declares something else than when it was installed"},
		"panics":                  {theirs(t, "panics"), "ended before it answered"},
		"prints":                  {theirs(t, "babble"), "something else than the handshake"},
		"sleeps for ever":         {theirs(t, "mute"), "did not answer in time"},
		"protocol of the future":  {theirs(t, "future"), "it is too new"},
		"protocol of the past":    {theirs(t, "past"), "it is too old"},
		"another name":            {theirs(t, "misnamed"), "it is named wallet"},
		"a manifest that is none": {theirs(t, "nothing-declared"), "actuator's name must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Logger: discard, Dir: shortDir(t), StartTimeout: patience}
			if c.spec.Args[1] == "mute" {
				cfg.StartTimeout = 200 * time.Millisecond
			}
			o, err := Open(t.Context(), c.spec, cfg)
			if err == nil {
				_ = o.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %q, not %q", err, c.says)
			}
			if left, _ := os.ReadDir(cfg.Dir); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

// shortDir is a directory for sockets, whose paths have 107 bytes.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	foreign = slices.Clone(foreign[:4096])
	foreign[18], foreign[19] = 8, 0 // a MIPS
	clear(foreign[40:48])           // without sections
	foreign[60], foreign[62] = 0, 0 // none of them
	foreign[56], foreign[57] = 0, 0 // nor segments
	for path, says := range map[string]string{
		filepath.Join(dir, "nothing"):           "build the actuator first",
		dir:                                     "is a directory",
		file("plain", "hello", 0o600):           "chmod +x",
		file("text", "hello", 0o700):            "neither a Linux executable nor a script",
		file("foreign", string(foreign), 0o700): "is made for another machine (MIPS)",
	} {
		if _, err := program.Inspect(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want one that says %q", path, err, says)
		}
	}
}

// TestAScriptIsItsFolder: any file of the folder counts, and nothing outside.
func TestAScriptIsItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sum := func() string {
		f, err := program.Inspect(filepath.Join(dir, "actuator.mjs"))
		if err != nil || !f.Script {
			t.Fatal(err)
		}
		return f.SHA256
	}
	write("actuator.mjs", "#!/usr/bin/env node\n")
	seen := []string{sum()}
	for _, change := range []func(){
		func() { write("lib/a.mjs", "1") },
		func() { write("lib/a.mjs", "2") },
		func() { write("lib/b.mjs", "2") },
		func() { write("actuator.mjs", "#!/usr/bin/env node\n//\n") },
	} {
		change()
		if s := sum(); slices.Contains(seen, s) {
			t.Error("a change does not count")
		} else {
			seen = append(seen, s)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "lib", "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := program.Inspect(filepath.Join(dir, "actuator.mjs")); err == nil || !strings.Contains(err.Error(), "leads out of") {
		t.Errorf("a link out of the folder: %v", err)
	}
}
