package qr_test

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"testing"

	qrcode "github.com/skip2/go-qrcode"

	"github.com/feddi/feddi/adapters/qr"
)

const nonce = "Q1-0123456789ABCDEFGHJKMNPQRS"

// document is what SVG writes.
type document struct {
	ViewBox string `xml:"viewBox,attr"`
	Paths   []struct {
		Fill   string `xml:"fill,attr"`
		Stroke string `xml:"stroke,attr"`
		D      string `xml:"d,attr"`
	} `xml:"path"`
}

func parse(t *testing.T, svg string) (document, int) {
	t.Helper()
	var d document
	if err := xml.Unmarshal([]byte(svg), &d); err != nil {
		t.Fatalf("%v in %s", err, svg)
	}
	var size, again int
	if _, err := fmt.Sscanf(d.ViewBox, "0 0 %d %d", &size, &again); err != nil || size != again || len(d.Paths) != 2 {
		t.Fatalf("viewBox %q, %d paths, %v", d.ViewBox, len(d.Paths), err)
	}
	return d, size
}

// raster paints the strokes of an SVG as a viewer would, a module per pixel.
func raster(t *testing.T, svg string) [][]bool {
	t.Helper()
	d, size := parse(t, svg)
	grid := make([][]bool, size)
	for y := range grid {
		grid[y] = make([]bool, size)
	}
	for _, run := range strings.Split(d.Paths[1].D, "M")[1:] {
		var x, length int
		var y float64
		if _, err := fmt.Sscanf(run, "%d %gh%d", &x, &y, &length); err != nil {
			t.Fatalf("run %q: %v", run, err)
		}
		if y != float64(int(y))+.5 {
			t.Fatalf("run %q does not lie in the middle of a row", run)
		}
		for i := range length {
			grid[int(y)][x+i] = true
		}
	}
	return grid
}

func TestTheSVGShowsTheBitmapWithItsQuietZone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{nonce, "7KX3Q", "https://example.com/verify?token=abc", strings.Repeat("x", 500)} {
		svg, err := qr.SVG(value)
		if err != nil {
			t.Fatal(err)
		}
		code, err := qrcode.New(value, qrcode.Medium)
		if err != nil {
			t.Fatal(err)
		}
		want := code.Bitmap() // with its border of 4 modules
		got := raster(t, svg)
		if len(got) != len(want) {
			t.Fatalf("%d modules wide, want %d", len(got), len(want))
		}
		for y := range want {
			for x := range want[y] {
				if got[y][x] != want[y][x] {
					t.Fatalf("%q: module %d,%d differs", value, x, y)
				}
			}
		}
	}
}

func TestANonceIsASmallCode(t *testing.T) {
	t.Parallel()
	svg, err := qr.SVG(nonce)
	if err != nil {
		t.Fatal(err)
	}
	_, size := parse(t, svg)
	if size != 25+8 { // version 2 and the quiet zone
		t.Errorf("%d modules wide, want 33", size)
	}
	if len(svg) > 3000 {
		t.Errorf("%d bytes", len(svg))
	}
	if !strings.Contains(svg, `shape-rendering="crispEdges"`) {
		t.Error("edges may blur")
	}
}

// TestTheSVGReads decodes the drawing as a reader does: format, mask, data
// bits, and compares with what was put in.
func TestTheSVGReads(t *testing.T) {
	t.Parallel()
	svg, err := qr.SVG(nonce)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, raster(t, svg)); got != nonce {
		t.Errorf("read %q, want %q", got, nonce)
	}
}

// read is a reader for what a nonce makes: version 2, one block of 28 data
// codewords at level M, alphanumeric. It needs no error correction, for the
// drawing has no errors.
func read(t *testing.T, framed [][]bool) string {
	t.Helper()
	const size, border = 25, 4
	at := func(x, y int) bool { return framed[y+border][x+border] }
	format := 0
	for i := range 15 { // around the top left finder
		x, y := 8, i
		switch {
		case i == 6:
			y = 7
		case i == 7:
			x, y = 8, 8
		case i == 8:
			x, y = 7, 8
		case i > 8:
			x, y = 14-i, 8
		}
		if at(x, y) {
			format |= 1 << i
		}
	}
	format ^= 0b101010000010010
	if level := format >> 13; level != 0 { // 00 is M
		t.Fatalf("error correction level %02b, want M", level)
	}
	var bits []byte
	for right, up := size-1, true; right > 0; right, up = right-2, !up {
		if right == 6 {
			right--
		}
		for i := range size {
			y := i
			if up {
				y = size - 1 - i
			}
			for _, x := range []int{right, right - 1} {
				if function(x, y) {
					continue
				}
				bit := byte(0)
				if at(x, y) != masked(format>>10&7, x, y) {
					bit = 1
				}
				bits = append(bits, bit)
			}
		}
	}
	take := func(n int) (v int) {
		for range n {
			v = v<<1 | int(bits[0])
			bits = bits[1:]
		}
		return v
	}
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
	var out strings.Builder
	for {
		mode := take(4)
		switch mode {
		case 0:
			return out.String()
		case 1: // numeric
			for n := take(10); n > 0; n -= 3 {
				digits := min(n, 3)
				fmt.Fprintf(&out, "%0*d", digits, take([]int{0, 4, 7, 10}[digits]))
			}
		case 2: // alphanumeric
			for n := take(9); n > 0; n -= 2 {
				if n == 1 {
					out.WriteByte(alphabet[take(6)])
					break
				}
				pair := take(11)
				out.WriteByte(alphabet[pair/45])
				out.WriteByte(alphabet[pair%45])
			}
		case 4: // bytes
			for n := take(8); n > 0; n-- {
				out.WriteByte(byte(take(8)))
			}
		default:
			t.Fatal("mode " + strconv.Itoa(mode))
		}
	}
}

// function reports whether a module of version 2 carries no data: finders,
// timing, the alignment pattern at 18,18.
func function(x, y int) bool {
	finder := x <= 8 && y <= 8 || x >= 17 && y <= 8 || x <= 8 && y >= 17
	return finder || x == 6 || y == 6 || x >= 16 && x <= 20 && y >= 16 && y <= 20
}

func masked(mask, x, y int) bool {
	switch mask {
	case 0:
		return (x+y)%2 == 0
	case 1:
		return y%2 == 0
	case 2:
		return x%3 == 0
	case 3:
		return (x+y)%3 == 0
	case 4:
		return (y/2+x/3)%2 == 0
	case 5:
		return x*y%2+x*y%3 == 0
	case 6:
		return (x*y%2+x*y%3)%2 == 0
	}
	return ((x+y)%2+x*y%3)%2 == 0
}
