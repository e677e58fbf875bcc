package sockets_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/sockets"
)

// pair is two connected ends, over TCP and over a Unix socket.
func pair(t *testing.T, test func(t *testing.T, near, far net.Conn)) {
	t.Helper()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			var lc net.ListenConfig
			plain, err := lc.Listen(t.Context(), network, address)
			if err != nil {
				t.Fatal(err)
			}
			l := sockets.Listener{Listener: plain}
			defer func() { _ = l.Close() }()
			near, err := sockets.Dial(t.Context(), network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			for _, c := range []net.Conn{near, far} { // nothing here waits for ever
				if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			test(t, near, far)
		})
	}
}

// What goes in comes out, also where it is more than the socket takes at once and
// the reader takes it in pieces of any size.
func TestBytesArrive(t *testing.T) {
	t.Parallel()
	pair(t, func(t *testing.T, near, far net.Conn) {
		sent := make([]byte, 8<<20)
		source := rand.New(rand.NewPCG(1, 2))
		for i := range sent {
			sent[i] = byte(source.Uint32())
		}
		var writing sync.WaitGroup
		writing.Go(func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+source.IntN(1<<20))
				if wrote, err := near.Write(rest[:n]); err != nil || wrote != n {
					t.Errorf("wrote %d of %d: %v", wrote, n, err)
				}
				rest = rest[n:]
			}
			if err := near.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		got, err := io.ReadAll(io.LimitReader(far, 10<<20)) // pieces of 512 bytes and more
		writing.Wait()
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes, equal %v: %v", len(got), len(sent), bytes.Equal(got, sent), err)
		}
		if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // io.EOF itself is promised
			t.Errorf("behind the end: %d, %v", n, err)
		}
		if n, err := far.Write([]byte("and back")); n != 8 || err != nil {
			t.Errorf("the other half is open: %d, %v", n, err)
		}
	})
}

// Writers that share a connection do not cut into each other.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	pair(t, func(t *testing.T, near, far net.Conn) {
		const size, each, writers = 300_000, 5, 4
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for range each {
					if _, err := near.Write(bytes.Repeat([]byte{byte('a' + w)}, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		piece := make([]byte, size)
		for range each * writers {
			if _, err := io.ReadFull(far, piece); err != nil {
				t.Fatal(err)
			}
			if bytes.Count(piece, piece[:1]) != size {
				t.Fatal("two writes are mixed")
			}
		}
		writing.Wait()
	})
}

// Whoever waits hears of a deadline and of the end, as from the standard library.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	pair(t, func(t *testing.T, near, far net.Conn) {
		waiting := func() chan error {
			out := make(chan error, 1)
			go func() {
				_, err := far.Read(make([]byte, 1))
				out <- err
			}()
			return out
		}
		waits := waiting()
		if err := far.SetReadDeadline(time.Unix(1, 0)); err != nil { // as net/http does
			t.Fatal(err)
		}
		err := <-waits
		if timeout := net.Error(nil); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a read over its deadline: %v", err)
		}
		if err := far.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		waits = waiting()
		if err := far.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-waits; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read of what is closed: %v", err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write to what is closed: %v", err)
		}
		for err = nil; err == nil; { // the other end hears of it with the first answer to what it sent
			_, err = near.Write([]byte("x"))
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "write "+near.LocalAddr().Network()) {
			t.Errorf("a write to nobody: %v", err)
		}
	})
}

// A write that nobody reads any more gives up at its deadline and says how far it came.
func TestWriteDeadline(t *testing.T) {
	t.Parallel()
	pair(t, func(t *testing.T, near, far net.Conn) {
		const some, much = 1 << 20, 64 << 20
		type outcome struct {
			n   int
			err error
		}
		writes := make(chan outcome, 1)
		go func() {
			n, err := near.Write(make([]byte, much))
			writes <- outcome{n, err}
		}()
		if _, err := io.ReadFull(far, make([]byte, some)); err != nil {
			t.Fatal(err)
		}
		if err := near.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if o := <-writes; !errors.Is(o.err, os.ErrDeadlineExceeded) || o.n < some || o.n >= much {
			t.Errorf("%d bytes, %v", o.n, o.err)
		}
	})
}

// net/http serves over it: keep-alive, a handler that hears of a client that left.
func TestHTTP(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, left := make(chan struct{}), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(arrived)
			<-r.Context().Done()
			close(left)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	})}
	go func() { _ = server.Serve(sockets.Listener{Listener: l}) }()
	t.Cleanup(func() { _ = server.Close() })
	client := &http.Client{Transport: &http.Transport{DialContext: sockets.Dial}}
	t.Cleanup(client.CloseIdleConnections)
	for _, size := range []int{0, 1, 4095, 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		if err != nil || answer.Body.Close() != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes came back as %d: %v", size, len(got), err)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		leave()
	}()
	if answer, err := client.Do(r); !errors.Is(err, context.Canceled) {
		_ = answer.Body.Close()
		t.Errorf("%v, want that it was given up", err)
	}
	<-left
}
