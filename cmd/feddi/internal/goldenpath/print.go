package goldenpath

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// width is what the printed walk fits into.
const width = 80

// Printer writes steps for a person at an 80-column terminal.
type Printer struct {
	Out io.Writer
	// Colour is true on a terminal that shows it.
	Colour bool
}

// Print writes one step.
func (p Printer) Print(s Step) {
	right := fmt.Sprintf("%d  %s", s.Status, took(s.Took))
	left := fmt.Sprintf("%3d  %s", s.Number, s.Title)
	fill := max(width-len([]rune(left))-len([]rune(right)), 1)
	fmt.Fprintf(p.Out, "%s%s%s\n", p.paint("1", left), strings.Repeat(" ", fill), p.paint(statusColour(s.Status), right))
	fmt.Fprintf(p.Out, "     %s\n", p.paint("2", s.Method+" "+s.Path))
	for _, n := range s.Notes {
		p.note(n)
	}
	fmt.Fprintln(p.Out)
}

// note writes a note, wrapped, under its mark.
func (p Printer) note(n Note) {
	mark := n.Mark
	if mark == "" {
		mark = " "
	}
	if n.Mark == "|" {
		fmt.Fprintf(p.Out, "       %s %s\n", p.paint("2", "|"), n.Text)
		return
	}
	for i, line := range wrap(n.Text, width-9) {
		if i > 0 {
			mark = " "
		}
		fmt.Fprintf(p.Out, "       %s %s\n", p.paint(markColour(mark), mark), line)
	}
}

func (p Printer) paint(code, s string) string {
	if !p.Colour || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func statusColour(status int) string {
	if status < 300 {
		return "32"
	}
	return "33"
}

func markColour(mark string) string {
	return map[string]string{"+": "32", "-": "33", "=": "36", "!": "35"}[mark]
}

// wrap cuts text at spaces so that no line is longer than limit runes, unless
// one word is.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > limit:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

func took(d time.Duration) string {
	return fmt.Sprintf("%5.1f ms", float64(d.Microseconds())/1000)
}
