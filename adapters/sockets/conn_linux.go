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
	w := &conn{socket: s, raw: raw, reading: call{number: syscall.SYS_READ}, writing: call{number: syscall.SYS_WRITE, whole: true}}
	w.reading.try, w.writing.try = w.reading.move, w.writing.move
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

// call is a read or a write. It is kept, for a closure would be allocated each time.
type call struct {
	number uintptr // of the system call
	whole  bool    // it is done with all of data, as a write is; a read with any
	try    func(fd uintptr) (done bool)

	one   sync.Mutex // at a time
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

// move takes what is there, or gives what the socket takes; false where it has to wait.
func (c *call) move(fd uintptr) bool {
	for {
		rest := c.data[c.moved:]
		n, _, errno := syscall.RawSyscall(c.number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest))) //nolint:gosec // the call keeps the memory
		switch errno {
		case 0:
			if c.moved += int(n); !c.whole || c.moved == len(c.data) { //nolint:gosec // at most len(rest)
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			c.errno = errno
			return true
		}
	}
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
