package sdk

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	actuatorv1 "github.com/feddi/feddi/contracts/gen/feddi/actuator/v1"
)

// Codes of Error that the SDK and Feddi use themselves. An author may use any
// other lower-case word.
const (
	CodeUnsupportedKind = "unsupported_kind" // a decision or command kind that was not declared
	CodeInvalidSettings = "invalid_settings"
	CodeInvalidFacts    = "invalid_facts"
	CodeInvalidStored   = "invalid_stored"
	CodeInvalidPayload  = "invalid_payload"
	CodeUnavailable     = "unavailable"      // something that Execute needs does not answer
	CodeHostNotGranted  = "host_not_granted" // the operator did not grant the host
	CodeInternal        = "internal"         // a defect of the actuator
)

// Error says that the actuator could not decide or carry out, in a form that
// operators can act on. It never reaches a till or a partner.
type Error struct {
	Code      string // lower-case word
	Message   string // what happened and what to do; no personal data
	Field     string // path of the setting or fact at fault; empty where there is none
	Retryable bool   // the same call may succeed later
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field != "" {
		return e.Code + " (" + e.Field + "): " + e.Message
	}
	return e.Code + ": " + e.Message
}

// maxErrorBytes bounds what an error text may take on the wire.
const maxErrorBytes = 2000

// wireError gives any error of an author its form on the wire.
func wireError(err error) *actuatorv1.Error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: CodeInternal, Message: err.Error()}
	}
	return &actuatorv1.Error{Code: clean(e.Code), Message: clean(e.Message), Field: clean(e.Field), Retryable: e.Retryable}
}

// clean cuts a text to what the wire takes: valid UTF-8 of bounded length.
func clean(s string) string {
	if len(s) > maxErrorBytes {
		s = s[:maxErrorBytes]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	return s
}

// statusOf is the gRPC status of a call that failed as a whole.
func statusOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	e := wireError(err)
	code := codes.FailedPrecondition
	switch {
	case e.GetRetryable():
		code = codes.Unavailable
	case e.GetCode() == CodeInternal:
		code = codes.Internal
	case e.GetCode() == CodeUnsupportedKind:
		code = codes.Unimplemented
	}
	plain := status.New(code, e.GetMessage())
	if typed, err := plain.WithDetails(e); err == nil {
		return typed.Err()
	}
	return plain.Err()
}
