package report

import (
	"fmt"
	"math"
	"strings"
)

// Point is what one number of connections gave.
type Point struct {
	Connections    int
	Rate           float64 // per second
	P50, P99, P999 float64 // milliseconds
}

// Plot is throughput and latency against connections.
type Plot struct {
	Title    string
	Subtitle string
	Points   []Point
	// Limit is what Postgres itself does, a dashed line; 0 for none.
	Limit      float64
	LimitLabel string
}

// The plot's geometry, in pixels.
const (
	plotWidth, plotHeight = 720, 560
	left, right           = 72, 696
	upperTop, upperBottom = 72, 280
	lowerTop, lowerBottom = 336, 512
)

// SVG draws the plot.
func (p Plot) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		plotWidth, plotHeight, plotWidth, plotHeight)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", escape(p.Title))
	text(&b, left, 28, "start", "#111", `font-size="16" font-weight="600"`, p.Title)
	text(&b, left, 48, "start", "#555", "", p.Subtitle)
	p.throughput(&b)
	p.latency(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

// x places a number of connections, evenly spaced in the order given.
func (p Plot) x(i int) float64 {
	if len(p.Points) == 1 {
		return (left + right) / 2
	}
	return left + 40 + float64(i)*(right-left-80)/float64(len(p.Points)-1)
}

func (p Plot) throughput(b *strings.Builder) {
	top := p.Limit
	for _, q := range p.Points {
		top = max(top, q.Rate)
	}
	top = nice(top)
	y := func(v float64) float64 { return upperBottom - v/top*(upperBottom-upperTop) }
	axis(b, upperTop, upperBottom, top, "per second", y)
	if p.Limit > 0 {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#b45309" stroke-dasharray="6 4"/>`+"\n", left, right, y(p.Limit), y(p.Limit))
		text(b, right, y(p.Limit)-5, "end", "#b45309", "", p.LimitLabel)
	}
	for i, q := range p.Points {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="36" height="%.1f" rx="2" fill="#2563eb"/>`+"\n", p.x(i)-18, y(q.Rate), upperBottom-y(q.Rate))
		text(b, p.x(i), y(q.Rate)-5, "middle", "#1e3a8a", "", Count(q.Rate))
		text(b, p.x(i), upperBottom+16, "middle", "#555", "", fmt.Sprint(q.Connections))
	}
}

func (p Plot) latency(b *strings.Builder) {
	top := 0.0
	for _, q := range p.Points {
		top = max(top, q.P999)
	}
	top = nice(top)
	y := func(v float64) float64 { return lowerBottom - v/top*(lowerBottom-lowerTop) }
	axis(b, lowerTop, lowerBottom, top, "ms", y)
	for n, line := range []struct {
		name, colour string
		of           func(Point) float64
	}{
		{"p50", "#16a34a", func(q Point) float64 { return q.P50 }},
		{"p99", "#ca8a04", func(q Point) float64 { return q.P99 }},
		{"p99.9", "#dc2626", func(q Point) float64 { return q.P999 }},
	} {
		var path strings.Builder
		for i, q := range p.Points {
			fmt.Fprintf(&path, "%.1f,%.1f ", p.x(i), y(line.of(q)))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, p.x(i), y(line.of(q)), line.colour)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.TrimSpace(path.String()), line.colour)
		text(b, float64(left+12+64*n), lowerTop-8, "start", line.colour, `font-weight="600"`, line.name)
	}
	for i, q := range p.Points {
		text(b, p.x(i), lowerBottom+16, "middle", "#555", "", fmt.Sprint(q.Connections))
	}
	text(b, (left+right)/2, plotHeight-12, "middle", "#555", "", "connections")
}

// axis draws the frame and four grid lines.
func axis(b *strings.Builder, top, bottom int, most float64, unit string, y func(float64) float64) {
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e5e7eb"/>`+"\n", left, right, y(v), y(v))
		label := Count(v)
		if most < 20 {
			label = fmt.Sprintf("%.3g", v)
		}
		text(b, left-8, y(v)+4, "end", "#555", "", label)
	}
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#9ca3af"/>`+"\n", left, right, bottom, bottom)
	text(b, left-8, float64(top-10), "end", "#555", "", unit)
}

// nice is the next of 1, 2, 4, 8 times a power of ten, so that quarters are round.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 8} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

func text(b *strings.Builder, x, y float64, anchor, colour, more, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" %s>%s</text>`+"\n", x, y, anchor, colour, more, escape(s))
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
