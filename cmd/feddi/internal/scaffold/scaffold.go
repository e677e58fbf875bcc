// Package scaffold writes the beginning of a merchant's own actuator: a program
// that builds, passes its tests and can be installed as it is.
package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/feddi/feddi/plugins/examples"
)

// Project is what to write.
type Project struct {
	Name   string // of the actuator, as its manifest will have it
	Dir    string // made where it is missing; must be empty
	Module string // path of the Go module
	// SDKPath is a source tree of Feddi that the module is built with; empty
	// builds it with the release Version.
	SDKPath string
	Version string // of this program: dev, or a release
}

var (
	names   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	modules = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*$`)
	release = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
)

// Write writes the project and returns the files, in order. Errors say which
// argument is wrong and what to give; nothing is written then.
func (p Project) Write() ([]string, error) {
	if err := p.complete(); err != nil {
		return nil, err
	}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil { //nolint:gosec // source code, for its author's tools
		return nil, err
	}
	var written []string
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(p.Dir, f.name), []byte(f.text), 0o644); err != nil { //nolint:gosec // as above
			return nil, err
		}
		written = append(written, f.name)
	}
	return written, nil
}

func (p *Project) complete() error {
	if p.Dir == "" {
		p.Dir = p.Name
	}
	if p.Module == "" {
		p.Module = "example.com/" + p.Name
	}
	switch entries, err := os.ReadDir(p.Dir); {
	case !names.MatchString(p.Name):
		return fmt.Errorf("the name %q must be 1 to 40 of a to z, 0 to 9 and hyphen, beginning with a letter", p.Name)
	case !modules.MatchString(p.Module):
		return fmt.Errorf("the module %q is no module path; give one such as example.com/%s", p.Module, p.Name)
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is not empty; give another --dir", p.Dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return p.chooseSDK()
}

// chooseSDK takes the source tree that this program was built from, where it is
// no release.
func (p *Project) chooseSDK() error {
	if p.SDKPath == "" && release.MatchString(p.Version) {
		return nil
	}
	if p.SDKPath == "" {
		p.SDKPath = sourceTree()
	}
	if p.SDKPath == "" {
		return errors.New("this is a development build and its source tree is not here; give it with --sdk-path")
	}
	abs, err := filepath.Abs(p.SDKPath)
	if err != nil {
		return err
	}
	p.SDKPath = abs
	text, err := os.ReadFile(filepath.Join(abs, "go.mod"))
	if err != nil || !strings.HasPrefix(string(text), "module github.com/feddi/feddi\n") {
		return fmt.Errorf("%s is no source tree of github.com/feddi/feddi; correct --sdk-path", abs)
	}
	return nil
}

// sourceTree is where this program was built; empty where that is not here.
func sourceTree() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return "" // built with -trimpath
	}
	dir := filepath.Join(filepath.Dir(file), "../../../..")
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return ""
	}
	return dir
}

type file struct{ name, text string }

func (p *Project) files() ([]file, error) {
	entries, err := examples.Punchcard.ReadDir("punchcard")
	if err != nil {
		return nil, err
	}
	out := []file{{"go.mod", p.goMod()}, {"go.sum", examples.Sum}, {".gitignore", "/" + p.Name + "\n"}}
	for _, e := range entries {
		raw, err := examples.Punchcard.ReadFile(path.Join("punchcard", e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, file{e.Name(), p.named(string(raw))})
	}
	return out, nil
}

// named gives the program its name where people and Feddi see it.
func (p *Project) named(text string) string {
	return strings.NewReplacer(
		`"punchcard",`, `"`+p.Name+`",`, "// Command punchcard", "// Command "+p.Name,
		"# punchcard", "# "+p.Name, "-o punchcard", "-o "+p.Name, "./punchcard", "./"+p.Name,
	).Replace(text)
}

func (p *Project) goMod() string {
	version := "v0.0.0"
	if p.SDKPath == "" {
		version = "v" + strings.TrimPrefix(p.Version, "v")
	}
	text := strings.NewReplacer("MODULE", p.Module, "VERSION", version).Replace(examples.Module)
	if p.SDKPath != "" {
		text += "\nreplace github.com/feddi/feddi => " + quoted(p.SDKPath) + "\n"
	}
	return text
}

// quoted writes a path as go.mod wants it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t()[]{},;\"`'") {
		return `"` + path + `"`
	}
	return path
}
