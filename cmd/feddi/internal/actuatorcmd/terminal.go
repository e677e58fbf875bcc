// Package actuatorcmd is the commands about merchants' own actuators: begin
// one, examine it, install it, list how all fare, replay the past through it.
package actuatorcmd

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// ErrSilent ends the program with status 1 after the command has said why.
var ErrSilent = errors.New("")

// Terminal is where a command writes.
type Terminal struct {
	Out, Err io.Writer
	Version  string // of the program: dev, or a release
}

// colour reports whether Out is a terminal whose user has not asked for plain
// text.
func (t *Terminal) colour() bool { return isTerminal(t.Out) && os.Getenv("NO_COLOR") == "" }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress is one line that says what is going on; silent where nobody looks.
type progress struct{ bar *progressbar.ProgressBar }

func (t *Terminal) progress() progress {
	if !isTerminal(t.Err) {
		return progress{}
	}
	return progress{progressbar.NewOptions(-1, progressbar.OptionSetWriter(t.Err), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())}
}

func (p progress) tell(what string) {
	if p.bar != nil {
		p.bar.Describe(what)
		_ = p.bar.Add(1)
	}
}

func (p progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
