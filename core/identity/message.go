package identity

import (
	"context"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// MessageKind says what a message is for.
type MessageKind string

// The kinds of message.
const (
	// MessageEnrollment proves a phone: it has a code and a token.
	MessageEnrollment MessageKind = "enrollment.verification"
	// MessagePayment confirms a payment: it has a code and an amount.
	MessagePayment MessageKind = "payment.confirmation"
	// MessageReceipt is a receipt of record: it has a subject and a text, no code.
	MessageReceipt MessageKind = "transaction.receipt"
)

// Message is what a customer is to receive. It holds secrets and personal data:
// it is never stored and never logged.
type Message struct {
	// ID is stable per message, for the receiver to drop repetitions.
	ID           string
	Kind         MessageKind
	Tenant       tenancy.Tenant
	MerchantName string
	Channel      string // sms, email, push, whatsapp; empty for sms
	To           string // E.164; an e-mail address for email, the customer's id for push
	Code         string
	Token        string // empty where there is no link
	Locale       string // BCP 47; may be empty
	AmountMinor  int64  // of a payment
	Currency     string // of a payment
	Subject      string // of a receipt
	Text         string // of a receipt; the others are written by whoever delivers
	ExpiresAt    time.Time
}

// Sender hands messages to whoever delivers them. It is called after the
// transaction that made the code has committed, so that no message is sent for
// what did not happen; a message that gets lost is asked for again.
type Sender interface {
	// Send takes the message over and does not wait for its delivery.
	// Errors: SUBSYSTEM_DEGRADED where it cannot be taken over.
	Send(ctx context.Context, m Message) error
}

// Courier delivers messages for whoever queues and retries by itself.
type Courier interface {
	// Deliver tries once and returns when the message was taken over. Errors:
	// *Refused where trying again would not change anything; any other may pass.
	Deliver(ctx context.Context, m Message) error
}

// Refused says that whoever delivers will never take a message.
type Refused struct{ Cause error }

// Error implements error.
func (r *Refused) Error() string { return "the message was refused: " + r.Cause.Error() }

// Unwrap gives the cause.
func (r *Refused) Unwrap() error { return r.Cause }

// Phones normalises phone numbers.
type Phones interface {
	// E164 returns the number as E.164, for example "+14155550123". country is
	// the ISO 3166 code for numbers written without +; empty means that there is
	// none. A possible number is enough, whether it is assigned or not. The
	// error says what is wrong, for a person, without repeating the number.
	E164(number, country string) (string, error)
}
