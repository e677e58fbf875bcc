package webhookhttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/feddi/feddi/core/tenancy"
	"github.com/feddi/feddi/core/webhook"
)

const (
	dialTimeout = 5 * time.Second
	// postTimeout bounds one attempt; it is well below the lease of a claim.
	postTimeout = 10 * time.Second
)

var errInside = errors.New("the URL leads to an address inside our network; deliveries go to public addresses only")

// newClient returns a client that refuses inside addresses when the connection
// is made, that is after DNS, follows no redirect, and uses no proxy from the
// environment.
func newClient(mode tenancy.Mode) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return guard(address, mode)
	}}
	return &http.Client{
		Timeout: postTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: concurrency, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: postTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guard judges the address that a connection is about to be made to.
func guard(address string, mode tenancy.Mode) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("unexpected address %q: %w", address, err)
	}
	if !webhook.Reachable(at.Addr(), mode) {
		return errInside
	}
	return nil
}
