package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/fault"
)

// Handler handles a run of events in order. An event may come again (delivery
// is at least once), so it must be idempotent. An error brings the run back,
// in smaller pieces.
type Handler func(ctx context.Context, events []event.Logged) error

// Only makes a Handler of a function for events of the given types; a run
// without any is done at once.
func Only(fn func(ctx context.Context, events []event.Event) error, types ...string) Handler {
	wanted := make(map[string]bool, len(types))
	for _, t := range types {
		wanted[t] = true
	}
	return func(ctx context.Context, events []event.Logged) error {
		var some []event.Event
		for _, e := range events {
			if wanted[e.Type] {
				some = append(some, e.Event)
			}
		}
		if len(some) == 0 {
			return nil
		}
		return fn(ctx, some)
	}
}

// Retry policy of a segment before it is split, or parked where it is one event.
const (
	retries       = 4
	retryInterval = 50 * time.Millisecond
	handlerLimit  = 20 * time.Second
)

// Router carries the consumers of the log.
type Router struct {
	router    *message.Router
	sub       *Subscriber
	consumers event.Consumers
	log       *slog.Logger
}

// NewRouter returns a router over sub.
func NewRouter(sub *Subscriber, consumers event.Consumers, log *slog.Logger) (*Router, error) {
	r, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, quiet(log))
	if err != nil {
		return nil, fmt.Errorf("make the event router: %w", err)
	}
	return &Router{router: r, sub: sub, consumers: consumers, log: log}, nil
}

// quiet moves the library's news of its own workings to the debug level.
func quiet(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
}

// Consume adds a consumer under a name that never changes: its place in the
// log is stored under it. Middleware is outermost first: parking sees what is
// left after the retries, each try has a fresh context, and a panic is an error.
func (r *Router) Consume(name string, h Handler) {
	handler := r.router.AddConsumerHandler(name, name, r.sub, func(m *message.Message) error {
		return h(m.Context(), segment(m))
	})
	handler.AddMiddleware(
		r.park(name),
		middleware.Retry{
			MaxRetries: retries, InitialInterval: retryInterval, MaxInterval: time.Second, Multiplier: 2,
			RandomizationFactor: 0.5, ResetContextOnRetry: true,
		}.Middleware,
		middleware.Recoverer,
		limit,
	)
}

// Run runs until ctx ends; it returns when every handler has come to rest.
func (r *Router) Run(ctx context.Context) error { return r.router.Run(ctx) }

// Running is closed once every consumer reads.
func (r *Router) Running() <-chan struct{} { return r.router.Running() }

// park sets a single event aside when it failed to the end, so that those
// behind it go on; a longer segment comes back in halves. An event that failed
// because a part of the system is down is not at fault: those behind it would
// fail as well, and it comes back until that part does.
func (r *Router) park(consumer string) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) ([]*message.Message, error) {
			out, err := next(m)
			events := segment(m)
			if err == nil || m.Context().Err() != nil {
				return out, err
			}
			if len(events) != 1 {
				r.log.Warn("a run of events failed and is tried again in halves", "consumer", consumer, "events", len(events), "error", err)
				return nil, err
			}
			if fault.Is(err, fault.CodeSubsystemDegraded) {
				r.log.Warn("an event waits for a part of the system that is down", "consumer", consumer, "event", events[0].ID, "error", err)
				return nil, err
			}
			r.log.Error("an event could not be handled and was parked", "consumer", consumer, "event", events[0].ID, "type", events[0].Type, "error", err)
			return nil, r.consumers.Park(m.Context(), consumer, events[0], err.Error())
		}
	}
}

// limit bounds one try. The library's own timeout leaves its cancelled context
// on the message; this one does not.
func limit(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		whole := m.Context()
		ctx, cancel := context.WithTimeout(whole, handlerLimit)
		defer cancel()
		m.SetContext(ctx)
		defer m.SetContext(whole)
		return next(m)
	}
}
