//go:build linux && !race

package sockets

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Wrap gives a connection of this package over c, or c where it is none of TCP or
// of a Unix socket. Under the race detector it is c always: there, the calls of the
// standard library tell the detector what happened before what.
func Wrap(c net.Conn) net.Conn {
	s, ok := c.(socket)
	if !ok {
		return c
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{socket: s, raw: raw}
	w.reading.try, w.writing.try = w.reading.read, w.writing.write
	return w
}

// socket is what TCP and Unix connections have in common.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

type conn struct {
	socket
	raw              syscall.RawConn
	reading, writing call
}

// call is a read or a write under way. It is kept, for a closure would be
// allocated each time.
type call struct {
	one   sync.Mutex // at a time
	try   func(fd uintptr) (done bool)
	data  []byte
	moved int // bytes of data
	errno syscall.Errno
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.reading.do(c.raw.Read, p)
	switch {
	case err != nil:
		return n, c.failed("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.writing.do(c.raw.Write, p)
	if err != nil {
		return n, c.failed("write", err)
	}
	return n, nil
}

// do has the poller try until it is done, a deadline passes or the connection is closed.
func (c *call) do(poll func(func(fd uintptr) bool) error, data []byte) (int, error) {
	c.one.Lock()
	defer c.one.Unlock()
	c.data, c.moved, c.errno = data, 0, 0
	err := poll(c.try)
	c.data = nil
	if err == nil && c.errno != 0 {
		err = c.errno
	}
	return c.moved, err
}

// read takes what is there; false where nothing is yet.
func (c *call) read(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.data))), uintptr(len(c.data))) //nolint:gosec // the call keeps the memory
		switch errno {
		case 0:
			c.moved = int(n) //nolint:gosec // at most len(data)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.errno = errno
			return true
		}
	}
}

// write gives what the socket takes; false where some of it is left.
func (c *call) write(fd uintptr) bool {
	for c.moved < len(c.data) {
		rest := c.data[c.moved:]
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest))) //nolint:gosec // the call keeps the memory
		switch errno {
		case 0:
			c.moved += int(n) //nolint:gosec // at most len(rest)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.errno = errno
			return true
		}
	}
	return true
}

// failed is err as the standard library would tell it.
func (c *conn) failed(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // as do made it
		err = os.NewSyscallError(op, errno)
	}
	if poll, ok := err.(*net.OpError); ok { //nolint:errorlint // as RawConn made it
		err = poll.Err
	}
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
