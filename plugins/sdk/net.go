package sdk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/feddi/feddi/plugins/sdk/handshake"
)

// Dial connects to host:port, for Execute. In a process that Feddi runs it
// reaches the hosts that the operator granted and no others; elsewhere, as in a
// test of the author's, it just connects. Errors: *Error host_not_granted,
// or unavailable, which is retryable.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	gate := os.Getenv(handshake.GateEnv)
	if gate == "" {
		return dialer.DialContext(ctx, network, address)
	}
	conn, err := dialer.DialContext(ctx, "unix", gate)
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Message: "the gate does not answer: " + err.Error(), Retryable: true}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = connect(conn, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// connect has the gate connect to address.
func connect(conn net.Conn, address string) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address); err != nil {
		return &Error{Code: CodeUnavailable, Message: err.Error(), Retryable: true}
	}
	// Nothing comes behind the answer until something is sent: no byte of the
	// connection's own is read here.
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return &Error{Code: CodeUnavailable, Message: err.Error(), Retryable: true}
	}
	if res.StatusCode == http.StatusOK {
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	why, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBytes))
	if res.StatusCode == http.StatusForbidden {
		return &Error{Code: CodeHostNotGranted, Message: string(why)}
	}
	return &Error{Code: CodeUnavailable, Message: string(why), Retryable: true}
}

// HTTPClient returns a client for Execute that reaches what [Dial] does. Give
// each request the context of Execute: it ends with the manifest's time limit.
func HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: Dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
	}}
}
