package receipt

import (
	"strings"
	"unicode/utf8"

	"github.com/feddi/feddi/core/checkout"
)

// Columns is how wide the text is: what an 80 mm roll takes in its usual font.
const Columns = 42

// Text prints a receipt as UTF-8 in lines of at most Columns columns, each
// ended by a line feed.
func Text(r checkout.Receipt) []byte {
	var out strings.Builder
	for _, row := range rows(r) {
		for _, line := range row.text() {
			out.WriteString(strings.TrimRight(line, " "))
			out.WriteByte('\n')
		}
	}
	return []byte(out.String())
}

func (r row) text() []string {
	left, right := printable(r.left), printable(r.right)
	switch r.style {
	case rule:
		return []string{strings.Repeat("-", Columns)}
	case double:
		return []string{strings.Repeat("=", Columns)}
	case centre, title:
		lines := wrap(left, Columns)
		for i, l := range lines {
			lines[i] = strings.Repeat(" ", (Columns-width(l))/2) + l
		}
		return lines
	case indent:
		return pair("  ", left, right)
	case plain, strong:
	}
	return pair("", left, right)
}

// pair puts left and right on one line. A left part that is too long goes on
// below, indented, and the right part stands on its last line.
func pair(margin, left, right string) []string {
	room := Columns - width(margin)
	if right != "" {
		room -= width(right) + 1
	}
	if room < 8 { // a figure of many digits: on a line of its own
		return append(pair(margin, left, ""), strings.Repeat(" ", max(Columns-width(right), 0))+right)
	}
	lines := wrap(left, room)
	for i := range lines {
		lines[i] = margin + lines[i]
	}
	last := len(lines) - 1
	if right != "" {
		lines[last] += strings.Repeat(" ", Columns-width(lines[last])-width(right)) + right
	}
	return lines
}

// wrap breaks s into lines of at most columns.
func wrap(s string, columns int) []string {
	return wrapBy(s, func(line string) bool { return width(line) <= columns })
}

// wrapBy breaks s at spaces into lines that fit, and within words that do not
// fit by themselves. At least one line comes back.
func wrapBy(s string, fits func(line string) bool) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(s) {
		for !fits(word) && utf8.RuneCountInString(word) > 1 {
			if current != "" {
				lines, current = append(lines, current), ""
			}
			n := cut(word, fits)
			lines, word = append(lines, word[:n]), word[n:]
		}
		switch {
		case current == "":
			current = word
		case fits(current + " " + word):
			current += " " + word
		default:
			lines, current = append(lines, current), word
		}
	}
	if current != "" || len(lines) == 0 {
		lines = append(lines, current)
	}
	return lines
}

// cut is how many bytes of word fit; at least its first character.
func cut(word string, fits func(line string) bool) int {
	n := 0
	for i, r := range word {
		end := i + utf8.RuneLen(r)
		if n > 0 && !fits(word[:end]) {
			break
		}
		n = end
	}
	return n
}

func width(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// columnsOf is how many columns a character takes: two for those of East Asian
// scripts and emoji, which printers set twice as wide.
func columnsOf(r rune) int {
	switch {
	case r >= 0x0300 && r <= 0x036F: // combining marks stand over the one before
		return 0
	case r >= 0x1100 && r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3,
		r >= 0xF900 && r <= 0xFAFF, r >= 0xFE30 && r <= 0xFE4F, r >= 0xFF00 && r <= 0xFF60, r >= 0x1F300 && r <= 0x1FAFF:
		return 2
	}
	return 1
}
