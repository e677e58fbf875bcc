package actuatorcmd

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/feddi/feddi/cmd/feddi/internal/scaffold"
)

type New struct {
	Name    string `arg:"" help:"Name of the actuator: a to z, 0 to 9 and hyphen."`
	Dir     string `type:"path" help:"Where to write it; default: a new folder of that name." placeholder:"DIR"`
	Module  string `help:"Path of its Go module; default: example.com/NAME." placeholder:"PATH"`
	SDKPath string `type:"path" help:"Source tree of Feddi to build with; default: this program's own in a development build." placeholder:"DIR"`
}

// Run writes the project.
func (c New) Run(t *Terminal) error {
	p := scaffold.Project{Name: c.Name, Dir: c.Dir, Module: c.Module, SDKPath: c.SDKPath, Version: t.Version}
	files, err := p.Write()
	if err != nil {
		return err
	}
	dir := c.Dir
	if dir == "" {
		dir = c.Name
	}
	fmt.Fprintf(t.Out, "%s: %s\n\nNext:\n\n", filepath.Clean(dir), strings.Join(files, ", "))
	fmt.Fprintf(t.Out, "  cd %s\n  go test ./...\n  go build -o %s .\n  feddi actuator verify ./%s\n", dir, c.Name, c.Name)
	fmt.Fprintf(t.Out, "  feddi actuator install ./%s --merchant mer_... --shadow\n", c.Name)
	return nil
}
