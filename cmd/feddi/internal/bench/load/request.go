package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// Template is a request rendered once, with places of fixed width that are
// overwritten for each one sent.
type Template struct {
	raw    []byte
	places []int // where each mark begins
	widths []int
}

// NewTemplate renders a POST. Every mark must occur exactly once.
func NewTemplate(host, path string, headers [][2]string, body string, marks ...string) (*Template, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", path, host)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	t := &Template{raw: b.Bytes()}
	for _, m := range marks {
		if bytes.Count(t.raw, []byte(m)) != 1 {
			return nil, fmt.Errorf("the mark %q is not in the request exactly once", m)
		}
		t.places, t.widths = append(t.places, bytes.Index(t.raw, []byte(m))), append(t.widths, len(m))
	}
	return t, nil
}

// Render appends the request to buf, with values in the order of the marks.
// Each must be as long as its mark.
func (t *Template) Render(buf []byte, values ...[]byte) []byte {
	start := len(buf)
	buf = append(buf, t.raw...)
	for i, v := range values {
		at := start + t.places[i]
		copy(buf[at:at+t.widths[i]], v)
	}
	return buf
}

// AppendUUID appends a random UUID of version 4 made of hi and lo.
func AppendUUID(buf []byte, hi, lo uint64) []byte {
	const hex = "0123456789abcdef"
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	for i := range 16 {
		if i == 8 || i == 12 {
			buf = append(buf, '-')
		}
		buf = append(buf, hex[hi>>(60-4*i)&15])
	}
	buf = append(buf, '-')
	for i := range 16 {
		if i == 4 {
			buf = append(buf, '-')
		}
		buf = append(buf, hex[lo>>(60-4*i)&15])
	}
	return buf
}
