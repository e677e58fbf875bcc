package line

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// call is one connection.
type call struct {
	line           *Line
	client, server net.Conn
	ended          chan struct{}
	once           sync.Once

	mu          sync.Mutex
	left        int64 // bytes that may still pass
	application string
	greeted     bool
}

// pump takes what src says to dst until one of them ends, or judge says so.
// judge returns what may pass.
func (c *call) pump(dst, src net.Conn, judge func([]byte) []byte) {
	abruptly := false
	defer func() { c.end(abruptly) }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := src.Read(buffer)
		if n > 0 {
			select {
			case <-c.line.open():
			case <-c.ended:
				return
			}
			pass := judge(buffer[:n])
			abruptly = len(pass) < n
			if _, err := dst.Write(pass); err != nil || abruptly {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *call) toServer(piece []byte) []byte {
	if !c.greeted {
		c.greet(piece)
	}
	if delay := c.line.rules.Load().Delay; delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.ended:
		}
	}
	return c.spend(piece)
}

func (c *call) toClient(piece []byte) []byte {
	if lose := c.line.rules.Load().Lose; lose != nil && lose(c.name()) {
		c.line.cuts.Add(1)
		return nil
	}
	return c.spend(piece)
}

// greet reads the application's name out of the first message, which is pairs
// of texts that end with zero bytes.
func (c *call) greet(startup []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.greeted = true
	if _, after, ok := bytes.Cut(startup, []byte("application_name\x00")); ok {
		name, _, _ := bytes.Cut(after, []byte{0})
		c.application = string(name)
	}
}

func (c *call) name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.application
}

// spend takes a piece off what may pass, while that is limited.
func (c *call) spend(piece []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line.rules.Load().Bytes == nil {
		return piece
	}
	if int64(len(piece)) > c.left {
		c.line.cuts.Add(1)
		piece = piece[:max(c.left, 0)]
	}
	c.left -= int64(len(piece))
	return piece
}

// end ends the connection on both sides: as its ends do by themselves, or with
// a reset and without a farewell.
func (c *call) end(abruptly bool) {
	c.once.Do(func() {
		close(c.ended)
		for _, side := range []net.Conn{c.client, c.server} {
			if tcp, ok := side.(*net.TCPConn); ok && abruptly {
				_ = tcp.SetLinger(0) // gone already where this fails
			}
			side.Close()
		}
	})
}
