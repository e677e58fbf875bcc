// Package fault is the one error type of the system. A Fault says what
// happened, which field, and what to do; each surface maps it once.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Error is a failure that its reader can act on.
type Error struct {
	// Code is what a caller branches on.
	Code Code
	// Message says what happened and what to do, for a person. Never holds
	// secrets, phone numbers, names or stack traces.
	Message string
	// Details name the fields at fault.
	Details []Detail
	// RetryAfter is how long to wait; set for 429 and 503.
	RetryAfter time.Duration
	// Recovery is how to get out of short funds; set for InsufficientFunds.
	Recovery *Recovery
	// TraceID is the decision trace behind a 402.
	TraceID string
	// Cause is kept for the operator's log and never shown to the caller.
	Cause error
}

// Detail names one thing that is wrong.
type Detail struct {
	Field   string // path of the field, or the resource that was not found
	Rule    string // the rule that was broken, in machine form
	Message string // what to do
}

// Recovery is the decision taken when the combined balance is short.
type Recovery struct {
	ShortfallMinor      int64
	ActualMinor         int64 // spendable now
	PromoAvailableMinor int64 // spendable now
	Options             []RecoveryOption
}

// RecoveryOption is one ranked way out. Amounts in minor units; nil where the
// option has no such part.
type RecoveryOption struct {
	Type            string // topup_exact, topup_tier, split_tender, smaller_basket
	TopupMinor      *int64
	BonusMinor      *int64
	WalletMinor     *int64
	OtherMinor      *int64
	AffordableMinor *int64
	BalanceAfter    *Spendable
	Summary         string
}

// Spendable is money by class.
type Spendable struct{ ActualMinor, PromoAvailableMinor int64 }

// New returns an Error.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Field returns an Error that names one field and the rule it broke.
func Field(code Code, field, rule, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{Code: code, Message: message, Details: []Detail{{Field: field, Rule: rule, Message: message}}}
}

// Invalid says that a request breaks the contract, in every field that details
// (at least one) name.
func Invalid(details []Detail) *Error {
	message := details[0].Message
	if details[0].Field != "" {
		message = details[0].Field + ": " + message
	}
	if more := len(details) - 1; more > 0 {
		message = fmt.Sprintf("%s (and %d more, see details)", message, more)
	}
	return &Error{Code: CodeValidationFailed, Message: message, Details: details}
}

// NotFound says that a resource (its singular name, for example "payment")
// does not exist for this caller. Foreign and missing are not told apart.
func NotFound(resource string) *Error {
	return Field(CodeNotFound, resource, "exists", "no such %s for this credential; check the id, the merchant and the mode of your key", resource)
}

// Internal wraps an unexpected failure; the caller sees only a request id.
func Internal(cause error) *Error {
	return &Error{Code: CodeInternal, Message: "something went wrong on our side; nothing was changed; quote the request id", Cause: cause}
}

// Error implements error.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// With returns a copy that carries one more detail.
func (e *Error) With(field, rule, message string) *Error {
	c := *e
	c.Details = append(append([]Detail(nil), e.Details...), Detail{field, rule, message})
	return &c
}

// After returns a copy that asks the caller to wait d before the next try.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Because returns a copy with a cause for the operator's log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// As returns err as an *Error; anything else becomes Internal. nil stays nil.
func As(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Internal(err)
}

// Is reports whether err is a fault with code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}
