// Package receipts sends receipts of record to customers, by channels that they
// agreed to. Asking queues a message; a worker hands it over.
package receipts

import (
	"context"
	"errors"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/transactions"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	"github.com/feddi/feddi/core/messaging"
	"github.com/feddi/feddi/core/tenancy"
)

// Service is the use cases of sending receipts.
type Service struct {
	UoW          app.UnitOfWork
	Clock        clock.Clock
	IDs          *ids.Source
	Transactions *transactions.Service
	Courier      identity.Courier
	// Mode is of whose messages Deliver takes care: those of the other one go by
	// its servers' courier.
	Mode tenancy.Mode
	// Print writes a receipt as text.
	Print func(checkout.Receipt) []byte
}

// SendInput says which receipt goes where.
type SendInput struct {
	TransactionID string
	Channel       string // empty for the customer's receipt channel
}

// Queued is a message on its way.
type Queued struct {
	messaging.Message
	MaskedDestination string
}

// Send queues the receipt of a sale for its buyer. What a customer agreed to
// and how they want to be treated is judged here, and again when it goes.
// Errors: NOT_FOUND, CONSENT_REQUIRED, STATE_CONFLICT (an anonymous sale, no
// channel, no address, a phone that is not proven).
func (s *Service) Send(ctx context.Context, call *app.Call, in SendInput) (Queued, error) {
	v, err := s.Transactions.Receipt(ctx, call, transactions.ReceiptInput{TransactionID: in.TransactionID})
	if err != nil {
		return Queued{}, err
	}
	buyer := v.Transaction.Buyer.CustomerID
	if buyer == "" {
		return Queued{}, fault.Field(fault.CodeStateConflict, "transaction_id", "identified",
			"nobody identified in this sale; print its receipt (GET /transactions/{id}/receipt)")
	}
	now := s.Clock.Now()
	return app.Mutate(ctx, s.UoW, now, call, func(ctx context.Context, st app.Stores) (Queued, error) {
		m := messaging.Message{
			ID: s.IDs.Make(ids.Message), Tenant: call.Tenant, CustomerID: buyer, TransactionID: v.Transaction.ID, Channel: in.Channel,
			State: messaging.Queued, DueAt: now, CreatedAt: now,
		}
		m, _, to, err := destination(ctx, st, m)
		if err != nil {
			return Queued{}, err
		}
		return Queued{Message: m, MaskedDestination: identity.MaskDestination(m.Channel, to)}, st.Messaging.AddMessage(ctx, m)
	})
}

// destination settles whom m goes to, by which channel and where, by what the
// customer agreed to and prefers now.
func destination(ctx context.Context, st app.Stores, m messaging.Message) (messaging.Message, identity.Customer, string, error) {
	c, err := identities.Served(ctx, st, m.Tenant, m.CustomerID)
	if err != nil {
		return m, c, "", err
	}
	m.CustomerID = c.ID
	p, err := st.Identity.Preferences(ctx, m.Tenant, c.ID)
	if err != nil {
		return m, c, "", err
	}
	acts, err := st.Identity.ConsentActs(ctx, m.Tenant, c.ID)
	if err != nil {
		return m, c, "", err
	}
	if m.Channel, err = p.ReceiptBy(m.Channel, acts); err != nil {
		return m, c, "", err
	}
	to, err := c.ReachedBy(m.Channel)
	return m, c, to, err
}

// pieces is how many messages are claimed at once; each may take seconds.
const pieces = 20

// Deliver is one round of the worker: it hands over what is due, up to limit,
// and returns how many messages it dealt with. No transaction is open while the
// courier is asked. A message whose courier was down is due again by itself.
func (s *Service) Deliver(ctx context.Context, limit int) (int, error) {
	done := 0
	var first error
	for done < limit {
		claimed, err := s.UoW.Read().Messaging.ClaimMessages(ctx, s.Mode, s.Clock.Now(), min(limit-done, pieces))
		if err != nil {
			return done, err
		}
		for _, m := range claimed {
			if err := s.deliver(ctx, m); err != nil && first == nil {
				first = err
			}
		}
		if done += len(claimed); len(claimed) < pieces {
			break
		}
	}
	return done, first
}

func (s *Service) deliver(ctx context.Context, m messaging.Message) error {
	err := s.hand(ctx, m)
	now := s.Clock.Now()
	store := s.UoW.Read().Messaging
	var refused *identity.Refused
	switch {
	case err == nil:
		return store.EndMessage(ctx, m.End(messaging.Sent, "", now))
	case errors.As(err, &refused):
		return store.EndMessage(ctx, m.End(messaging.Failed, "refused", now))
	case fault.Is(err, fault.CodeConsentRequired), fault.Is(err, fault.CodeNotFound), fault.Is(err, fault.CodeStateConflict):
		return store.EndMessage(ctx, m.End(messaging.Cancelled, string(fault.As(err).Code), now))
	case !m.Again(now):
		return errors.Join(err, store.EndMessage(ctx, m.End(messaging.Failed, "undeliverable", now)))
	}
	return err // due again when its lease ends
}

// hand gives a message to the courier, written and addressed as things stand now.
func (s *Service) hand(ctx context.Context, m messaging.Message) error {
	m, c, to, err := destination(ctx, s.UoW.Read(), m)
	if err != nil {
		return err
	}
	v, err := s.Transactions.Receipt(ctx, &app.Call{Tenant: m.Tenant}, transactions.ReceiptInput{TransactionID: m.TransactionID})
	if err != nil {
		return err
	}
	v.Receipt.Zone = s.Transactions.Zone(ctx, m.Tenant)
	return s.Courier.Deliver(ctx, identity.Message{
		ID: m.ID, Kind: identity.MessageReceipt, Tenant: m.Tenant, MerchantName: v.Receipt.Issuer.MerchantName, Channel: m.Channel, To: to,
		Subject: "Your receipt " + v.Receipt.Number + " from " + v.Receipt.Issuer.MerchantName, Text: string(s.Print(v.Receipt)),
		Locale: c.Locale, AmountMinor: v.Receipt.TotalMinor, Currency: v.Receipt.Currency, ExpiresAt: m.CreatedAt.Add(messaging.Patience),
	})
}
