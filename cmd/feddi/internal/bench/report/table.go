package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Width is what every table fits.
const Width = 80

// Table is a table of a name column and figures, right-aligned.
type Table struct {
	Head []string
	rows [][]string
}

// Add adds a row; it may be shorter than the head.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Print writes the table. The first column takes what the others leave.
func (t *Table) Print(w io.Writer) {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range append([][]string{t.Head}, t.rows...) {
		var b strings.Builder
		for j, cell := range row {
			pad := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell))
			if j == 0 {
				b.WriteString(cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
		if i == 0 {
			total := -2
			for _, n := range widths {
				total += n + 2
			}
			fmt.Fprintln(w, strings.Repeat("-", total))
		}
	}
}

// Count writes 16150 as 16,150.
func Count(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Millis writes a duration in milliseconds; "-" for none.
func Millis(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}

// Micros writes a duration in microseconds.
func Micros(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond)) }

// Ratio writes a quotient with two digits; "-" where there is no divisor.
func Ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// Noise is a line about foreign load; empty where there was little.
func (s Share) Noise() string {
	switch {
	case !s.Known || s.Foreign < 0.03:
		return ""
	default:
		return fmt.Sprintf("other programs used %.0f %% of the processors", 100*s.Foreign)
	}
}
