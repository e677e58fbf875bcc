// Package stream asks an actuator for plans over streams that stay open, so that
// a call costs no stream of its own.
package stream

import (
	"context"
	"errors"
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

// Calls are the calls for plans to one process that serves PlanStream. Each has a
// stream to itself, and leaves it to a later one: calls at the same time do not
// wait for each other, and one that is given up takes its stream with it and
// nothing else. There are as many streams as there were calls at a time. They end
// with the connection.
type Calls struct {
	client  actuatorv1.ActuatorClient
	options []grpc.CallOption

	none atomic.Bool // the process serves no streams

	mu   sync.Mutex
	idle []*conversation
}

// Over makes calls by client, with options.
func Over(client actuatorv1.ActuatorClient, options ...grpc.CallOption) *Calls {
	return &Calls{client: client, options: options}
}

var (
	// ErrGarbage is an answer that cannot be read, or is none to what was asked.
	ErrGarbage = errors.New("its answer is none to what was asked")
	// ErrNone says that the process serves no streams: it is to be asked by
	// PlanBatch.
	ErrNone = errors.New("it serves no streams")
)

// Plan asks for the plans of a batch; nothing of them is proven. Errors: those
// that the call PlanBatch would have, ErrGarbage, ErrNone.
func (c *Calls) Plan(ctx context.Context, batch []actuation.Snapshot) ([]actuation.Plan, error) {
	if c.none.Load() {
		return nil, ErrNone
	}
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
	if unserved(err) {
		c.none.Store(true)
		err = ErrNone
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

func (c *Calls) take() *conversation {
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

func (c *Calls) leave(v *conversation) {
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

func (v *conversation) ask(ctx context.Context, c *Calls, batch []actuation.Snapshot) (_ []actuation.Plan, err error) {
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
		return nil, ErrGarbage
	case err != nil:
		return nil, err
	case answer.GetCall() != v.req.GetCall():
		return nil, ErrGarbage
	}
	plans, err := wire.ReadPlans(answer.GetAnswer(), len(batch))
	if err != nil {
		return nil, ErrGarbage
	}
	return plans, nil
}
