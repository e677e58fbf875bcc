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

var errNoSecret = errors.New("there is no signing secret")

var errInside = errors.New("the URL leads to an address inside our network; deliveries go to public addresses only")

// newTransport returns a way out that refuses inside addresses when the
// connection is made, that is after DNS, follows no redirect, and uses no proxy
// from the environment.
func newTransport(mode tenancy.Mode) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return guard(address, mode)
	}}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: concurrency, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: postTimeout,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, // an excerpt is all that is read
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
