// Package sockets makes connections whose reads and writes cost the scheduler of
// the Go runtime nothing.
//
// The runtime watches whoever is in a system call: after some 20 us another thread
// is given the processor's queue. A write to a socket of the same machine takes about
// that long, for the kernel delivers it on the way, and on a virtual machine
// more. So a server beside its database was interrupted at every other
// write, 3,000 times a second, for a call that cannot block: sockets of Go never do.
// The connections of this package make these calls without the announcement, which
// took a tenth of the server's processor time off it (docs/performance.md).
package sockets

import (
	"context"
	"net"
)

// DialFunc connects, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// Dial connects like the zero net.Dialer.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return Over(new(net.Dialer).DialContext)(ctx, network, address)
}

// Over gives the connections that dial makes as those of this package.
func Over(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return Wrap(c), nil
	}
}

// Listener accepts connections of this package.
type Listener struct{ net.Listener }

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}
