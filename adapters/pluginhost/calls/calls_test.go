package calls_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/feddi/feddi/adapters/pluginhost/calls"
	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// actuator plans what its function says, for all snapshots of a call together.
type actuator struct {
	plan func(context.Context, sdk.Snapshot) error
}

func (a *actuator) Describe() sdk.Manifest {
	return sdk.Manifest{Name: "odd", DecisionKinds: []sdk.Kind{sdk.KindEnrichment}}
}

func (a *actuator) Plan(context.Context, sdk.Snapshot) (sdk.Plan, error) { panic("not asked") }

func (a *actuator) PlanBatch(ctx context.Context, batch []sdk.Snapshot) ([]sdk.Plan, error) {
	var plans []sdk.Plan
	for _, s := range batch {
		if err := a.plan(ctx, s); err != nil {
			return nil, err
		}
		plans = append(plans, sdk.Plan{SnapshotID: s.ID, Refusal: "no", Reasoning: sdk.Reasoning{Summary: s.SessionID, Rule: "odd"}})
	}
	return plans, nil
}

// counted counts the streams and calls that a server was asked for.
type counted struct {
	actuatorv1.ActuatorServer

	streams atomic.Int64
}

func (c *counted) PlanStream(s actuatorv1.Actuator_PlanStreamServer) error {
	c.streams.Add(1)
	return c.ActuatorServer.PlanStream(s)
}

// old serves no streams.
type old struct {
	actuatorv1.UnimplementedActuatorServer

	calls actuatorv1.ActuatorServer
}

func (o old) PlanBatch(ctx context.Context, req *actuatorv1.PlanBatchRequest) (*actuatorv1.PlanBatchResponse, error) {
	return o.calls.PlanBatch(ctx, req)
}

func serve(t *testing.T, server actuatorv1.ActuatorServer) *calls.Plans {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	actuatorv1.RegisterActuatorServer(g, server)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
		<-served
	})
	return calls.Over(actuatorv1.NewActuatorClient(conn), true, grpc.MaxCallRecvMsgSize(1<<20))
}

func odd(t *testing.T, plan func(context.Context, sdk.Snapshot) error) (*calls.Plans, *counted) {
	t.Helper()
	c := &counted{ActuatorServer: sdk.NewServer(&actuator{plan})}
	return serve(t, c), c
}

// batch asks for n plans, whose summaries are what.
func batch(what string, n int) (out []actuation.Snapshot) {
	for i := range n {
		out = append(out, actuation.Snapshot{ID: fmt.Sprint(what, i), Kind: actuation.KindEnrichment, SessionID: what})
	}
	return out
}

func fine(context.Context, sdk.Snapshot) error { return nil }

// mustPlan asks, and holds the answer to the question.
func mustPlan(t *testing.T, c *calls.Plans, what string, n int) {
	t.Helper()
	plans, err := c.Ask(t.Context(), batch(what, n))
	if err != nil || len(plans) != n {
		t.Errorf("%d plans instead of %d: %v", len(plans), n, err)
		return
	}
	for i, p := range plans {
		if p.SnapshotID != fmt.Sprint(what, i) || p.Reasoning.Summary != what {
			t.Errorf("%s %d was answered %+v", what, i, p)
		}
	}
}

// TestOneStreamForAll: calls after each other, of any size, share a stream.
func TestOneStreamForAll(t *testing.T) {
	t.Parallel()
	c, server := odd(t, fine)
	for i, n := range []int{1, 0, 100, 3, 1} {
		mustPlan(t, c, fmt.Sprint("call ", i, " snapshot "), n)
	}
	if n := server.streams.Load(); n != 1 {
		t.Errorf("%d streams", n)
	}
}

// TestCallsAtATime: each has its own stream and answer, and leaves the stream to
// others.
func TestCallsAtATime(t *testing.T) {
	t.Parallel()
	const most = 8
	var inside sync.WaitGroup
	inside.Add(most)
	c, server := odd(t, func(_ context.Context, s sdk.Snapshot) error {
		if s.SessionID[0] == 'm' { // they are all inside at a time
			inside.Done()
			inside.Wait()
		}
		return nil
	})
	for _, first := range []string{"meets", "alone"} {
		var all sync.WaitGroup
		for i := range most {
			all.Go(func() { mustPlan(t, c, fmt.Sprint(first, i, " "), 1) })
		}
		all.Wait()
	}
	if n := server.streams.Load(); n != most {
		t.Errorf("%d streams for %d calls at a time", n, most)
	}
}

// TestGivenUp: the actuator hears that a caller left, or that the time is up, and
// the next call has another stream.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	heard := make(chan error, 1)
	began := make(chan time.Time, 1)
	c, server := odd(t, func(ctx context.Context, s sdk.Snapshot) error {
		if s.SessionID != "wait" {
			return nil
		}
		at, _ := ctx.Deadline()
		began <- at
		<-ctx.Done()
		heard <- ctx.Err()
		return ctx.Err()
	})

	ctx, leave := context.WithCancel(t.Context())
	go func() {
		if at := <-began; !at.IsZero() {
			t.Errorf("a call without a deadline arrived with one: %v", at)
		}
		leave()
	}()
	if _, err := c.Ask(ctx, batch("wait", 1)); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	if err := <-heard; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	mustPlan(t, c, "after", 1)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Ask(ctx, batch("wait", 1)); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if at := <-began; at.IsZero() || time.Until(at) > 20*time.Millisecond {
		t.Errorf("the deadline arrived as %v", at)
	}
	<-heard
	mustPlan(t, c, "after", 1)
	if n := server.streams.Load(); n != 3 {
		t.Errorf("%d streams", n)
	}
}

// TestNotEvenBegun: a caller that has left already costs a stream at most.
func TestNotEvenBegun(t *testing.T) {
	t.Parallel()
	c, _ := odd(t, fine)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := c.Ask(ctx, batch("late", 1)); err != nil && status.Code(err) != codes.Canceled {
			t.Fatal(err)
		}
	}
	mustPlan(t, c, "after", 1)
}

// TestFailedAsAWhole: the typed error arrives as it would from a call of its own.
func TestFailedAsAWhole(t *testing.T) {
	t.Parallel()
	for _, code := range []string{sdk.CodeUnsupportedKind, "no_such_profile"} {
		c, server := odd(t, func(_ context.Context, s sdk.Snapshot) error {
			if s.SessionID == "fail" {
				return &sdk.Error{Code: code, Message: "unknown profile", Field: "facts.profile"}
			}
			return nil
		})
		_, err := c.Ask(t.Context(), batch("fail", 2))
		if f := wire.Failure(err); f == nil || f.Code != code || f.Field != "facts.profile" {
			t.Error(err)
		}
		mustPlan(t, c, "after", 1)
		if n := server.streams.Load(); n != 2 {
			t.Errorf("%d streams", n)
		}
	}
}

// TestTooLarge: an answer beyond the bound costs its call and nothing else.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	c, _ := odd(t, fine)
	if _, err := c.Ask(t.Context(), batch(string(make([]byte, 1<<20)), 2)); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	mustPlan(t, c, "after", 1)
}

// TestServesNone: a program of before streams is asked for one once, and answers
// calls.
func TestServesNone(t *testing.T) {
	t.Parallel()
	server := &counted{ActuatorServer: old{calls: sdk.NewServer(&actuator{fine})}}
	c := serve(t, server)
	for range 3 {
		mustPlan(t, c, "x", 2)
	}
	if n := server.streams.Load(); n != 1 {
		t.Errorf("%d streams", n)
	}
}
