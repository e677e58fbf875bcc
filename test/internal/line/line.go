// Package line puts a connection between the server and its database that a
// test has in its hands: it can be cut, held, slowed, and made to lose answers.
package line

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Line is an address that leads to a Postgres. It lets everything through
// until it is told otherwise. Safe for concurrent use.
type Line struct {
	backend  func() (string, error)
	listener net.Listener
	rules    atomic.Pointer[Rules]
	cuts     atomic.Int64

	mu    sync.Mutex
	calls map[*call]bool
	gate  chan struct{} // closed while traffic may pass
}

// Rules say what becomes of traffic; the zero value lets it through.
type Rules struct {
	// Delay is how long everything that the server sends to the database waits.
	Delay time.Duration
	// Bytes, where set, is asked once for each new connection how many bytes may
	// pass, in both directions together; then it is cut, wherever that is in a
	// message. Connections that are older have no limit.
	Bytes func() int64
	// Lose, where set, is asked for each piece of an answer whether it is lost
	// and the connection cut: the database did what it was asked, and nobody
	// hears of it. application is the application_name of the connection.
	Lose func(application string) bool
	// Refuse ends new connections at once.
	Refuse bool
}

// Open makes a line to the database that backend names. It is asked anew for
// each connection, so that the database may come back somewhere else.
func Open(backend func() (string, error)) (*Line, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	open := make(chan struct{})
	close(open)
	l := &Line{backend: backend, listener: listener, calls: map[*call]bool{}, gate: open}
	l.rules.Store(&Rules{})
	go l.accept()
	return l, nil
}

// DSN is the database's address with the line in between.
func (l *Line) DSN() (string, error) {
	dsn, err := l.backend()
	if err != nil {
		return "", err
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", err
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Password), Host: l.listener.Addr().String(), Path: "/" + c.Database, RawQuery: "sslmode=disable"}
	return u.String(), nil
}

// Set replaces the rules.
func (l *Line) Set(r Rules) { l.rules.Store(&r) }

// Cut ends every connection at once, and says how many there were.
func (l *Line) Cut() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.calls {
		c.end(true)
	}
	return len(l.calls)
}

// Cuts is how many connections were cut by rules so far.
func (l *Line) Cuts() int64 { return l.cuts.Load() }

// Hold stops all traffic without ending a connection, as a network does that
// lost its way.
func (l *Line) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

// Release lets held traffic go on.
func (l *Line) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gate:
	default:
		close(l.gate)
	}
}

// Close ends the line and everything on it.
func (l *Line) Close() {
	_ = l.listener.Close() // nothing is lost
	l.Cut()
	l.Release()
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go l.serve(client)
	}
}

func (l *Line) serve(client net.Conn) {
	rules := l.rules.Load()
	server, err := l.dial()
	if err != nil || rules.Refuse {
		client.Close()
		if err == nil {
			server.Close()
		}
		return
	}
	c := &call{line: l, client: client, server: server, left: 1 << 62, ended: make(chan struct{})}
	if rules.Bytes != nil {
		c.left = rules.Bytes()
	}
	l.mu.Lock()
	l.calls[c] = true
	l.mu.Unlock()
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(server, client, c.toServer) })
	pumps.Go(func() { c.pump(client, server, c.toClient) })
	pumps.Wait()
	l.mu.Lock()
	delete(l.calls, c)
	l.mu.Unlock()
}

func (l *Line) dial() (net.Conn, error) {
	dsn, err := l.backend()
	if err != nil {
		return nil, err
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database's address: %w", err)
	}
	network, address := pgconn.NetworkAddress(c.Host, c.Port)
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), network, address)
}

func (l *Line) open() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate
}
