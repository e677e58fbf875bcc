// Package gate is how a confined actuator reaches the hosts that its operator
// granted, and no others: it has no network interface, but a unix socket in its
// directory, which takes HTTP CONNECT.
package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// gateConns is how many connections one actuator may have through its gate.
	gateConns = 32
	// gateDial bounds how long a connection may take to be made, with its request.
	gateDial = 10 * time.Second
	// gateLife bounds the life of one: more than a command can take.
	gateLife = time.Minute
)

// Gate is the gate of one process.
type Gate struct {
	hosts    []string // granted, as name (port 443) or name:port
	log      *slog.Logger
	listener net.Listener
	end      context.CancelFunc
	running  sync.WaitGroup
	slots    chan struct{}
}

// Open listens in dir for a process that may reach hosts: each a name (its port
// 443) or name:port.
func Open(dir string, hosts []string, log *slog.Logger) (*Gate, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "unix", filepath.Join(dir, "gate"))
	if err != nil {
		return nil, fmt.Errorf("opening its gate: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &Gate{hosts: hosts, log: log, listener: listener, end: cancel, slots: make(chan struct{}, gateConns)}
	g.running.Go(func() { g.serve(ctx) })
	return g, nil
}

// Path is where it listens.
func (g *Gate) Path() string { return g.listener.Addr().String() }

// Close ends it with all its connections, and returns when they are gone.
func (g *Gate) Close() {
	g.end()
	_ = g.listener.Close()
	g.running.Wait()
}

func (g *Gate) serve(ctx context.Context) {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return // closed
		}
		select {
		case g.slots <- struct{}{}:
			g.running.Go(func() {
				defer func() { <-g.slots }()
				g.pass(ctx, conn)
			})
		default:
			refuse(conn, http.StatusTooManyRequests, fmt.Sprintf("%d connections are open already", gateConns))
			_ = conn.Close()
		}
	}
}

// pass carries one connection.
func (g *Gate) pass(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, gateLife)
	defer cancel()
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(gateDial))
	in := bufio.NewReader(io.LimitReader(conn, 16<<10))
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if req.Method != http.MethodConnect {
		refuse(conn, http.StatusMethodNotAllowed, "the gate takes CONNECT host:port only")
		return
	}
	if !g.granted(req.Host) {
		g.log.Warn("the actuator asked for a host that was not granted", "host", req.Host, "granted", g.hosts)
		refuse(conn, http.StatusForbidden, g.refusal(req.Host))
		return
	}
	out, err := dialGranted(ctx, req.Host)
	if err != nil {
		refuse(conn, http.StatusBadGateway, err.Error())
		return
	}
	defer func() { _ = out.Close() }()
	if in.Buffered() > 0 {
		refuse(conn, http.StatusBadRequest, "the gate answers before anything is sent through it")
		return
	}
	stopOut := context.AfterFunc(ctx, func() { _ = out.Close() })
	defer stopOut()
	_ = conn.SetDeadline(time.Time{}) // from here on the context ends it
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	splice(conn, out)
}

// splice copies both ways until one side has ended.
func splice(a, b net.Conn) {
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // its end is all there is to know
			if half, ok := pair[0].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// granted reports whether address, host:port, is one of those granted.
func (g *Gate) granted(address string) bool {
	host, port, err := net.SplitHostPort(strings.ToLower(address))
	if err != nil {
		return false
	}
	return slices.Contains(g.hosts, host+":"+port) || (port == "443" && slices.Contains(g.hosts, host))
}

func (g *Gate) refusal(address string) string {
	if len(g.hosts) == 0 {
		return fmt.Sprintf("%s was not granted; no host was: install it with --allow-hosts or --allow-host", address)
	}
	return fmt.Sprintf("%s was not granted; granted are %s", address, strings.Join(g.hosts, ", "))
}

func refuse(conn net.Conn, code int, why string) {
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", code, http.StatusText(code), len(why), why)
}

// errInward is a name that leads to where names have no business to.
var errInward = errors.New("the name leads to an address of this machine or of its link")

// dialGranted connects to a granted host. The operator granted a name: whoever
// owns it must not turn it into this machine or a metadata service. An address,
// or localhost, was granted as what it is.
func dialGranted(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, gateDial)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return dialer.DialContext(ctx, "tcp", address)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("%s: %w", host, errInward)
	for _, ip := range found {
		ip = ip.Unmap()
		if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			continue
		}
		conn, dialed := dialer.DialContext(ctx, "tcp", net.JoinHostPort(ip.String(), port))
		if dialed == nil {
			return conn, nil
		}
		err = dialed
	}
	return nil, err
}
