// Package calls asks one process of an actuator for plans: over streams that stay
// open, so that a call costs no stream of its own, and where it serves none, by a
// call each.
package calls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/plugins/sdk/wire"
)

// Plans are the calls for plans to one process. Each has a stream to itself, and
// leaves it to a later one: calls at the same time do not wait for each other, and
// one that is given up takes its stream with it and nothing else. There are as many
// streams as there were calls at a time. They end with the connection.
type Plans struct {
	client  actuatorv1.ActuatorClient
	driven  bool
	options []grpc.CallOption

	none atomic.Bool // the process serves no streams

	mu   sync.Mutex
	idle []*conversation
}

// Over makes calls by client, with options. driven says that the process speaks a
// protocol version in which it is sent stored facts.
func Over(client actuatorv1.ActuatorClient, driven bool, options ...grpc.CallOption) *Plans {
	return &Plans{client: client, driven: driven, options: options}
}

// Ask asks for the plans of a batch and gets one for each snapshot; nothing of them
// is proven. Errors: those of the call, or a *actuation.Failure where the answer
// comes from a broken actuator.
func (c *Plans) Ask(ctx context.Context, batch []actuation.Snapshot) (plans []actuation.Plan, err error) {
	if c.driven && !c.none.Load() {
		plans, err = c.stream(ctx, batch)
		if unserved(err) {
			c.none.Store(true)
		}
	}
	if !c.driven || c.none.Load() {
		plans, err = c.call(ctx, batch)
	}
	if err == nil {
		err = complete(batch, plans)
	}
	if err != nil {
		return nil, closed(ctx, err)
	}
	return plans, nil
}

// closed tells a call that the caller gave up from one whose connection was closed
// under it, as it is when the process dies: another process may answer that one.
func closed(ctx context.Context, err error) error {
	if st, ok := status.FromError(err); ok && st.Code() == codes.Canceled && ctx.Err() == nil {
		return status.Error(codes.Unavailable, st.Message())
	}
	return err
}

// call asks by a call of its own.
func (c *Plans) call(ctx context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	request := wire.PlanBatchRequest(batch)
	if !c.driven {
		for _, s := range request.GetSnapshots() {
			s.StoredJson, s.StoredAt = nil, nil
		}
	}
	answer, err := c.client.PlanBatch(ctx, request, c.options...)
	if err != nil {
		return nil, err
	}
	return wire.Plans(answer), nil
}

// stream asks over a stream that is free, or else a new one.
func (c *Plans) stream(ctx context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	v := c.take()
	if v == nil {
		v = open()
	}
	stop := context.AfterFunc(ctx, v.cancel)
	plans, err := v.ask(ctx, c, batch)
	ended := !stop()
	if ended && err != nil {
		err = status.FromContextError(ctx.Err()).Err() // the stream only says that it was ended
	}
	if err != nil || ended {
		v.cancel()
		return plans, err
	}
	c.leave(v)
	return plans, nil
}

// unserved reports whether a call failed for want of PlanStream. An actuator that
// itself says UNIMPLEMENTED says what, in a detail.
func unserved(err error) bool {
	st := status.Convert(err)
	return st.Code() == codes.Unimplemented && len(st.Details()) == 0
}

func (c *Plans) take() *conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		return nil
	}
	v := c.idle[last]
	c.idle = c.idle[:last]
	return v
}

func (c *Plans) leave(v *conversation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, v)
}

func open() *conversation {
	life, cancel := context.WithCancel(context.Background())
	return &conversation{life: life, cancel: cancel}
}

// conversation is one stream: request, answer, request, answer.
type conversation struct {
	life   context.Context
	cancel context.CancelFunc
	stream grpc.BidiStreamingClient[actuatorv1.PlanStreamRequest, actuatorv1.PlanStreamResponse] // nil before the first request
	req    actuatorv1.PlanStreamRequest
}

// maxKept bounds the memory that a stream keeps for its next request.
const maxKept = 1 << 20

func (v *conversation) ask(ctx context.Context, c *Plans, batch []actuation.Snapshot) (_ []actuation.Plan, err error) {
	if v.stream == nil {
		if v.stream, err = c.client.PlanStream(v.life, c.options...); err != nil {
			return nil, err
		}
	}
	v.req.Call++
	v.req.TimeLimitUs = 0
	if at, limited := ctx.Deadline(); limited {
		v.req.TimeLimitUs = max(time.Until(at).Microseconds(), 1)
	}
	if v.req.Batch = wire.AppendBatch(v.req.Batch[:0], batch); cap(v.req.Batch) > maxKept {
		defer func() { v.req.Batch = nil }()
	}
	// A stream that has ended says io.EOF here, and why when it is read.
	if err := v.stream.Send(&v.req); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	answer, err := v.stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		return nil, garbage("it ended the stream instead of an answer")
	case err != nil:
		return nil, err
	case answer.GetCall() != v.req.GetCall():
		return nil, garbage("it answered call %d instead of %d", answer.GetCall(), v.req.GetCall())
	}
	plans, err := wire.ReadPlans(answer.GetAnswer(), len(batch))
	if err != nil {
		return nil, garbage("its answer cannot be read: %v", err)
	}
	return plans, nil
}

// complete checks that an answer has one plan for each snapshot: one that has
// not comes from a broken actuator, and counts against it.
func complete(batch []actuation.Snapshot, answer []actuation.Plan) error {
	if len(answer) != len(batch) {
		return garbage("it answered %d snapshots with %d plans", len(batch), len(answer))
	}
	at := 0
	for at < len(batch) && answer[at].SnapshotID == batch[at].ID {
		at++
	}
	if at == len(batch) {
		return nil // in order, as most do
	}
	open := make(map[string]bool, len(batch)-at)
	for i := range batch[at:] {
		open[batch[at+i].ID] = true
	}
	for i := range answer[at:] {
		id := answer[at+i].SnapshotID
		if !open[id] {
			return garbage("it answered %.64q, which was not asked or was answered before", id)
		}
		delete(open, id)
	}
	return nil
}

func garbage(format string, args ...any) *actuation.Failure {
	return &actuation.Failure{Code: "garbage", Message: fmt.Sprintf(format, args...)}
}
