//go:build !linux || race

package sockets

import "net"

// Wrap gives c itself: what this package does is known for Linux, and hides
// from the race detector what happened before what.
func Wrap(c net.Conn) net.Conn { return c }
