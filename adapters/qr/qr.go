// Package qr draws QR codes as SVG: sharp at every size and a few hundred
// bytes small.
package qr

import (
	"fmt"
	"strconv"
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

// quiet is the white margin that ISO/IEC 18004 asks for, in modules.
const quiet = 4

// SVG draws value with medium error correction (15 % may be lost), dark on
// white with the quiet zone that readers need. It has no size of its own: it
// fills what it is put into.
func SVG(value string) (string, error) {
	code, err := qrcode.New(value, qrcode.Medium)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	code.DisableBorder = true
	modules := code.Bitmap()
	size := strconv.Itoa(len(modules) + 2*quiet)
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + size + ` ` + size + `" shape-rendering="crispEdges">` +
		`<path fill="#fff" d="M0 0h` + size + `v` + size + `H0z"/><path stroke="#000" d="`)
	for y, row := range modules {
		drawRow(&b, row, y+quiet)
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}

// drawRow draws the dark runs of a row, as strokes along its middle.
func drawRow(b *strings.Builder, row []bool, y int) {
	for x := 0; x < len(row); x++ {
		start := x
		for x < len(row) && row[x] {
			x++
		}
		if x > start {
			fmt.Fprintf(b, "M%d %d.5h%d", start+quiet, y, x-start)
		}
	}
}
