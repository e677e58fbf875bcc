package load

import (
	"fmt"
	"net"
	"sync"
)

// Server answers requests on plain connections, one in flight on each, for as little
// as can be: what is measured is who sends them.
type Server struct {
	listener net.Listener
	answer   func(head, body []byte) []byte

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	over  bool
	done  sync.WaitGroup
}

// Serve answers what comes to l by what answer gives, an answer with its head. Close it.
func Serve(l net.Listener, answer func(head, body []byte) []byte) *Server {
	s := &Server{listener: l, answer: answer, conns: map[net.Conn]struct{}{}}
	s.done.Go(s.accept)
	return s
}

// Close ends it with its connections.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.over = true
	for c := range s.conns {
		_ = c.Close() // nothing is under way that counts
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *Server) accept() {
	for {
		tcp, err := s.listener.Accept()
		if err != nil || !s.keep(tcp) {
			return
		}
		s.done.Go(func() { s.serve(tcp) })
	}
}

// keep remembers a connection; false where the server has ended.
func (s *Server) keep(tcp net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		_ = tcp.Close() // nobody waits for it
		return false
	}
	s.conns[tcp] = struct{}{}
	return true
}

func (s *Server) serve(tcp net.Conn) {
	defer s.drop(tcp)
	for c := newConn(tcp); ; {
		head, body, err := c.request()
		if err != nil {
			return
		}
		if _, err := tcp.Write(s.answer(head, body)); err != nil {
			return
		}
	}
}

func (s *Server) drop(tcp net.Conn) {
	_ = tcp.Close() // the other side ended it, or this one did
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, tcp)
}

// request reads a whole request; it is valid until the next one is read.
func (c *Conn) request() (head, body []byte, err error) {
	c.buf = c.buf[:0]
	end, err := c.until("\r\n\r\n", 0)
	if err != nil {
		return nil, nil, err
	}
	n, ok := lengthOf(c.buf[:end])
	if !ok {
		return nil, nil, fmt.Errorf("a request without its length: %.80q", c.buf[:end])
	}
	if err := c.fill(end + n); err != nil {
		return nil, nil, err
	}
	return c.buf[:end], c.buf[end : end+n], nil
}
