package load_test

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
)

// TestQuantilesAreRightToTwoPerCent compares the histogram with sorted samples.
func TestQuantilesAreRightToTwoPerCent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "samples")
		var a, b load.Histogram
		for i, s := range samples {
			if i%2 == 0 {
				a.Record(time.Duration(s))
			} else {
				b.Record(time.Duration(s))
			}
		}
		a.Merge(&b)
		slices.Sort(samples)
		if a.Count() != int64(len(samples)) || int64(a.Max()) != samples[len(samples)-1] {
			t.Fatalf("%d samples, max %v", a.Count(), a.Max())
		}
		for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
			want := float64(samples[min(int(q*float64(len(samples))), len(samples)-1)])
			if got := float64(a.Quantile(q)); got < want || got > want*(1+1.0/64)+1 {
				t.Fatalf("quantile %v is %v, want %v", q, got, want)
			}
		}
	})
	if (&load.Histogram{}).Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	var h load.Histogram
	h.Record(-time.Second)
	h.Record(math.MaxInt64)
	if h.Quantile(0) != 0 || h.Max() != math.MaxInt64 {
		t.Error("the ends do not count")
	}
}

func TestUUIDs(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	rapid.Check(t, func(t *rapid.T) {
		id := string(load.AppendUUID(nil, rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")))
		if !shape.MatchString(id) {
			t.Fatal(id)
		}
	})
}

// echo answers with the body it was sent, in whichever framing is asked for.
func echo(t *testing.T) (address string, hits *atomic.Int64) {
	t.Helper()
	hits = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/chunked":
			w.WriteHeader(http.StatusAccepted)
			for part := range slices.Chunk(body, 7) {
				_, _ = w.Write(part)
				w.(http.Flusher).Flush()
			}
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("X-Key", r.Header.Get("X-Key"))
			_, _ = w.Write(body)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), hits
}

func template(t *testing.T, address, path, body string, marks ...string) *load.Template {
	t.Helper()
	out, err := load.NewTemplate(address, path, [][2]string{{"X-Key", "KKKK"}}, body, marks...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExchangeReadsEveryFraming(t *testing.T) {
	t.Parallel()
	address, _ := echo(t)
	c, err := load.Dial(t.Context(), address, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	long := strings.Repeat("x", 30_000)
	for _, tt := range []struct {
		path, body, want string
		status           int
	}{
		{"/", "VVVV and " + long, "four and " + long, 200},
		{"/chunked", "VVVV in pieces", "four in pieces", 202},
		{"/empty", "VVVV", "", 204},
		{"/", "VVVV again", "four again", 200},
	} {
		request := template(t, address, tt.path, tt.body, "VVVV").Render(nil, []byte("four"))
		a, err := c.Exchange(request)
		if err != nil || a.Status != tt.status || string(a.Body) != tt.want {
			t.Errorf("%s: %d, %d bytes, %v", tt.path, a.Status, len(a.Body), err)
		}
	}
}

func TestATemplateKnowsItsMarks(t *testing.T) {
	t.Parallel()
	for _, marks := range []string{"missing", "twice"} {
		if _, err := load.NewTemplate("h", "/", nil, "twice and twice", marks); err == nil {
			t.Errorf("a mark that is %s passes", marks)
		}
	}
}

func judge(a load.Answer) string {
	if a.Status == http.StatusOK {
		return ""
	}
	return fmt.Sprint(a.Status)
}

// TestRunCountsEveryAnswer: the loop ends when the requests are used up, and
// what it counts is what the server saw.
func TestRunCountsEveryAnswer(t *testing.T) {
	t.Parallel()
	address, hits := echo(t)
	const n = 500
	ok, bad := template(t, address, "/", "body"), template(t, address, "/empty", "body")
	var at, heard atomic.Int64
	r, err := load.Run(t.Context(), load.Plan{
		Address: address, Connections: 4, Duration: time.Minute, Judge: judge,
		Next: func(buf []byte) []byte {
			switch i := at.Add(1); {
			case i > n:
				return nil
			case i%5 == 0:
				return bad.Render(buf)
			}
			return ok.Render(buf)
		},
		Answered: func([]byte, load.Answer, time.Duration, time.Duration) { heard.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Wanted != n*4/5 || r.Others["204"] != n/5 || r.Done != n || hits.Load() != n || heard.Load() != n || r.Rate() <= 0 {
		t.Errorf("wanted %d, others %v, done %d, server %d, heard %d", r.Wanted, r.Others, r.Done, hits.Load(), heard.Load())
	}
}

func TestRunEndsInTime(t *testing.T) {
	t.Parallel()
	address, _ := echo(t)
	ok := template(t, address, "/", "body")
	var told atomic.Int64
	r, err := load.Run(t.Context(), load.Plan{
		Address: address, Connections: 2, Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond, Judge: judge,
		Next: func(buf []byte) []byte { return ok.Render(buf) }, Tick: func(float64) { told.Add(1) },
	})
	if err != nil || r.Done == 0 || r.Wanted <= r.Done || r.Elapsed > 5*time.Second || told.Load() == 0 {
		t.Errorf("%v: wanted %d, measured %d in %v, told %d times", err, r.Wanted, r.Done, r.Elapsed, told.Load())
	}
}

func TestTheLoadStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"192.0.2.1:80", "example.com:80", "nonsense"} {
		if _, err := load.Run(t.Context(), load.Plan{Address: address, Connections: 1}); err == nil {
			t.Errorf("%s is loaded", address)
		}
		if _, err := load.Keep(t.Context(), load.Pace{Address: address, Connections: 1, PerSecond: 1, Requests: 1}); err == nil {
			t.Errorf("%s is loaded at a pace", address)
		}
	}
}

// TestABrokenConnectionIsAnError: a server that hangs up is no answer.
func TestABrokenConnectionIsAnError(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	ok := template(t, address, "/", "body")
	_, err := load.Run(t.Context(), load.Plan{
		Address: address, Connections: 2, Duration: time.Minute, Judge: judge, Next: func(buf []byte) []byte { return ok.Render(buf) },
	})
	if err == nil {
		t.Error("no error")
	}
}

// TestKeepSendsAll: an open loop sends exactly what was asked for, spread out.
func TestKeepSendsAll(t *testing.T) {
	t.Parallel()
	address, hits := echo(t)
	ok := template(t, address, "/", "body")
	begin := time.Now()
	r, err := load.Keep(t.Context(), load.Pace{
		Address: address, Connections: 3, PerSecond: 200, Requests: 40, Judge: judge, Next: func(buf []byte) []byte { return ok.Render(buf) },
	})
	if err != nil || r.Wanted != 40 || hits.Load() != 40 || time.Since(begin) < 190*time.Millisecond {
		t.Errorf("%v: %d answers, %d at the server, in %v", err, r.Wanted, hits.Load(), time.Since(begin))
	}
}

// What is sent to a server arrives whole, one request after another on a connection,
// and its end ends whoever waits for it.
func TestServer(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := load.Serve(l, func(head, body []byte) []byte {
		said := string(load.Behind(head, "\r\nWebhook-Id: ", '\r')) + " " + string(body)
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
	})
	c, err := load.Dial(t.Context(), l.Addr().String(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"first", "", strings.Repeat("long ", 10_000)} {
		a, err := c.Exchange(fmt.Appendf(nil, "POST /hook HTTP/1.1\r\nWebhook-Id: evt_1\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if err != nil || a.Status != 200 || string(a.Body) != "evt_1 "+body {
			t.Errorf("%.20q: %d %.40q, %v", body, a.Status, a.Body, err)
		}
	}
	s.Close()
	if _, err := c.Exchange([]byte("POST /hook HTTP/1.1\r\nContent-Length: 0\r\n\r\n")); err == nil {
		t.Error("it answers after its end")
	}
}
