package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Answer is one HTTP answer. Body is valid until the next exchange.
type Answer struct {
	Status int
	Body   []byte
}

// Conn is one plain connection that carries one request at a time.
type Conn struct {
	tcp net.Conn
	buf []byte // what was read of the answer
	out []byte // the body of a chunked answer, put together
}

// maxAnswer bounds an answer; none of the operations that are driven comes near.
const maxAnswer = 1 << 20

// Dial connects to address; until bounds everything that the connection does.
func Dial(ctx context.Context, address string, until time.Time) (*Conn, error) {
	var d net.Dialer
	tcp, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := tcp.SetDeadline(until); err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	return newConn(tcp), nil
}

func newConn(tcp net.Conn) *Conn { return &Conn{tcp: tcp, buf: make([]byte, 0, 8<<10)} }

// Close closes the connection.
func (c *Conn) Close() error { return c.tcp.Close() }

// Exchange writes a whole request and reads the whole answer.
func (c *Conn) Exchange(request []byte) (Answer, error) {
	if _, err := c.tcp.Write(request); err != nil {
		return Answer{}, err
	}
	c.buf = c.buf[:0]
	head, err := c.until("\r\n\r\n", 0)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Status: statusOf(c.buf[:head])}
	if a.Status == 0 {
		return a, fmt.Errorf("no HTTP/1.1 answer: %.80q", c.buf[:head])
	}
	if n, ok := lengthOf(c.buf[:head]); ok {
		if err := c.fill(head + n); err != nil {
			return a, err
		}
		a.Body = c.buf[head : head+n]
		return a, nil
	}
	a.Body, err = c.chunks(head)
	return a, err
}

// until reads until mark stands behind from, and returns where it ends.
func (c *Conn) until(mark string, from int) (int, error) {
	for {
		if i := bytes.Index(c.buf[from:], []byte(mark)); i >= 0 {
			return from + i + len(mark), nil
		}
		if err := c.more(); err != nil {
			return 0, err
		}
	}
}

// fill reads until n bytes are there.
func (c *Conn) fill(n int) error {
	for len(c.buf) < n {
		if err := c.more(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) more() error {
	if len(c.buf) > maxAnswer {
		return errors.New("the answer is longer than a megabyte")
	}
	if len(c.buf) == cap(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)[:len(c.buf)]
	}
	n, err := c.tcp.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// chunks reads a chunked body that begins at from.
func (c *Conn) chunks(from int) ([]byte, error) {
	if !bytes.Contains(c.buf[:from], []byte("Transfer-Encoding: chunked")) {
		return nil, nil // no body
	}
	c.out = c.out[:0]
	for {
		end, err := c.until("\r\n", from)
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseUint(string(c.buf[from:end-2]), 16, 20)
		if err != nil {
			return nil, fmt.Errorf("a malformed chunk: %w", err)
		}
		if err := c.fill(end + int(size) + 2); err != nil {
			return nil, err
		}
		c.out = append(c.out, c.buf[end:end+int(size)]...)
		from = end + int(size) + 2
		if size == 0 {
			return c.out, nil
		}
	}
}

// statusOf reads "HTTP/1.1 201 Created"; 0 where it is none.
func statusOf(head []byte) int {
	if len(head) < 12 || string(head[:9]) != "HTTP/1.1 " {
		return 0
	}
	n, _ := strconv.Atoi(string(head[9:12])) // 0 where it is no number
	return n
}

// lengthOf reads the Content-Length, which Go writes in this form.
func lengthOf(head []byte) (int, bool) {
	const name = "\r\nContent-Length: "
	i := bytes.Index(head, []byte(name))
	if i < 0 {
		return 0, false
	}
	n, found := 0, false
	for _, b := range head[i+len(name):] {
		if b < '0' || b > '9' {
			break
		}
		n, found = 10*n+int(b-'0'), true
	}
	return n, found && n <= maxAnswer
}

// Behind is the text behind mark, up to end; nil where there is none.
func Behind(in []byte, mark string, end byte) []byte {
	_, rest, found := bytes.Cut(in, []byte(mark))
	if !found {
		return nil
	}
	return rest[:max(0, bytes.IndexByte(rest, end))]
}
