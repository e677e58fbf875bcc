package pipeline

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
)

// Pace is the least time between two reports of a stream. The first and the
// newest before the answer are sent whatever their distance.
const Pace = 100 * time.Millisecond

// Stream answers a decoded request by the stream of its operation: the same
// checks, handler and answer as Invoke. What the use case reports (Reporter) goes
// to send meanwhile, at its Pace; where send fails, the caller is gone and the
// call's context ends. A success comes back as the stream's last message, which
// the door sends.
func (p *Pipeline) Stream(ctx context.Context, x *Exchange, req proto.Message, send func(step *Answer) error) *Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.steps = &steps{exchange: x, now: p.Clock.Now, send: send, stop: cancel}
	a := p.Invoke(ctx, x, req)
	if a.Message != nil {
		x.steps.flush()
		a.Message, a.Wire = x.Handler.Op.Stream.Answer(a.Message), nil
	}
	return a
}

// Reporter is what the use case of a call tells its progress to, which encode
// turns into the message of the operation's stream. It is nil unless the call came
// in by that stream, so that progress costs nothing where nobody sees it. Not safe
// for concurrent use, and not to be used after the handler has returned.
func Reporter[P, M any, PM message[M]](ctx context.Context, encode func(P) *M) func(P) {
	x := exchangeOf(ctx)
	if x == nil || x.steps == nil {
		return nil
	}
	return func(p P) { x.steps.report(PM(encode(p))) }
}

// steps are the reports of one stream on their way to the caller. They are few
// and small, so that who reads slowly holds up nothing.
type steps struct {
	exchange *Exchange
	now      func() time.Time
	send     func(step *Answer) error
	stop     context.CancelFunc

	last time.Time // when one was sent
	held *Answer   // the newest one that was not due
	gone bool      // the caller
}

func (s *steps) report(m proto.Message) {
	x := s.exchange
	s.held = &Answer{Status: x.Handler.Op.Status(), Message: x.Handler.Op.Stream.Progress(m), Meta: x.meta()}
	if now := s.now(); s.last.IsZero() || now.Sub(s.last) >= Pace {
		s.last = now
		s.flush()
	}
}

// flush sends what was held back.
func (s *steps) flush() {
	step := s.held
	if s.held = nil; step == nil || s.gone {
		return
	}
	if err := s.send(step); err != nil {
		s.gone = true
		s.stop()
	}
}
