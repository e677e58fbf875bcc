package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTheTableLinesUp(t *testing.T) {
	t.Parallel()
	table := Table{Head: []string{"", "per s", "/limit"}}
	table.Add("Postgres, 32", Count(16150), Ratio(16150, 16150))
	table.Add("payments, 128", Count(980), Ratio(980, 16150))
	table.Add("short")
	var b strings.Builder
	table.Print(&b)
	want := `                per s  /limit
-----------------------------
Postgres, 32   16,150    1.00
payments, 128     980    0.06
short
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Count(0): "0", Count(999): "999", Count(1000): "1,000", Count(1234567): "1,234,567", Count(-1234): "-1,234",
		Millis(0): "-", Millis(1234 * time.Microsecond): "1.23", Millis(12345 * time.Microsecond): "12.3", Millis(123456 * time.Microsecond): "123",
		Micros(1500 * time.Nanosecond): "2", Ratio(1, 0): "-",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestThePlotIsWellFormed whatever was measured, nothing included.
func TestThePlotIsWellFormed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Plot{Title: rapid.StringMatching(`[a-z<>&"]{0,10}`).Draw(t, "title"), Limit: rapid.Float64Range(0, 1e6).Draw(t, "limit"), LimitLabel: "a < b"}
		for range rapid.IntRange(0, 6).Draw(t, "points") {
			figure := rapid.Float64Range(0, 1e6)
			p.Points = append(p.Points, Point{
				rapid.IntRange(1, 1000).Draw(t, "n"), figure.Draw(t, "rate"), figure.Draw(t, "p50"), figure.Draw(t, "p99"), figure.Draw(t, "p999"),
			})
		}
		d := xml.NewDecoder(strings.NewReader(p.SVG()))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok {
				for _, a := range e.Attr {
					if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || !utf8.ValidString(a.Value) {
						t.Fatalf("%s %s=%q", e.Name.Local, a.Name.Local, a.Value)
					}
				}
			}
		}
	})
}

func TestProcessLines(t *testing.T) {
	t.Parallel()
	p, ok := parse("4711 (post) gres) (x)) S 12 4711 4711 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 99 0 0\n")
	if !ok || p.pid != 4711 || p.parent != 12 || p.name != "post) gres) (x)" || p.used != 2500*time.Millisecond {
		t.Errorf("%v %+v", ok, p)
	}
	for _, line := range []string{"", "1 (", "1 (a) S 2", ") ("} {
		if _, ok := parse(line); ok {
			t.Errorf("%q is a process", line)
		}
	}
}

// TestOwnWorkIsNotForeign: what this process burns is its own.
func TestOwnWorkIsNotForeign(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/stat"); err != nil {
		if s := Now().Since(Now()); s.Known || s.Noise() != "" {
			t.Errorf("%+v is known where the system does not tell", s)
		}
		return
	}
	before, x := Now(), 1
	for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; {
		for i := range 10_000 {
			x = x*31 + i
		}
	}
	s := Now().Since(before)
	if !s.Known || s.Server < 20*time.Millisecond || s.Foreign < 0 || s.Foreign > 1.2 || x == 0 {
		t.Errorf("%+v", s)
	}
}
