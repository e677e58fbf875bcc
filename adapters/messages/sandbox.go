// Package messages delivers what customers' phones are to receive: in
// production through the operator's gateway, in the sandbox to nobody.
package messages

import (
	"context"
	"sync"

	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/tenancy"
)

// kept is how many messages a Sandbox remembers.
const kept = 256

// Sandbox keeps the latest messages instead of sending them, for the console
// and for tests. The zero value is ready; safe for concurrent use.
type Sandbox struct {
	mu       sync.Mutex
	messages []identity.Message
}

// Send implements identity.Sender.
func (s *Sandbox) Send(_ context.Context, m identity.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) == kept {
		s.messages = append(s.messages[:0], s.messages[1:]...)
	}
	s.messages = append(s.messages, m)
	return nil
}

// Deliver implements identity.Courier.
func (s *Sandbox) Deliver(ctx context.Context, m identity.Message) error { return s.Send(ctx, m) }

// Latest lists the messages of a merchant, newest first.
func (s *Sandbox) Latest(t tenancy.Tenant) []identity.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []identity.Message
	for i := len(s.messages) - 1; i >= 0; i-- {
		if s.messages[i].Tenant.MerchantID == t.MerchantID {
			out = append(out, s.messages[i])
		}
	}
	return out
}
