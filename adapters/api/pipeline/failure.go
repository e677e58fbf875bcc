package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/feddi/feddi/adapters/api/operation"
	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Fail turns any error into an answer, and logs once what the caller does not
// get to see.
func (p *Pipeline) Fail(ctx context.Context, x *Exchange, err error) *Answer {
	e := judge(ctx, err)
	if e.Cause != nil || e.Code == fault.CodeInternal {
		p.Log.LogAttrs(ctx, levelOf(e), "call failed",
			slog.String("operation", x.Call.Operation), slog.String("request_id", x.Call.RequestID),
			slog.String("code", string(e.Code)), slog.Any("cause", causeOf(e)))
	}
	meta := x.meta()
	if e.TraceID != "" {
		meta.DecisionTraceId = &e.TraceID
	}
	return p.observed(ctx, x, &Answer{Status: fault.MeaningOf(e.Code).Status, Fault: e, Error: Published(e), Meta: meta})
}

// Refuse answers a request that is refused before it became a call: an unknown
// path, a body that is too large.
func (p *Pipeline) Refuse(ctx context.Context, e *fault.Error) *Answer {
	return p.Fail(ctx, p.open(&Handler{Op: &operation.Operation{}}, nil, ""), e)
}

// judge gives err a code: a fault keeps its own, a deadline that ran out is
// DEADLINE_EXCEEDED, anything else is INTERNAL.
func judge(ctx context.Context, err error) *fault.Error {
	e := fault.As(err)
	if e.Code != fault.CodeInternal {
		return e
	}
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if late || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.New(fault.CodeDeadlineExceeded, "the call took too long and was ended; repeat it with the same Idempotency-Key to learn its outcome").Because(err)
	}
	return e
}

func levelOf(e *fault.Error) slog.Level {
	if e.Code == fault.CodeInternal {
		return slog.LevelError
	}
	return slog.LevelWarn
}

func causeOf(e *fault.Error) error {
	if e.Cause != nil {
		return e.Cause
	}
	return e
}

// recovered, deferred, turns a panic into an internal error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fault.Internal(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
	}
}

// RetryAfter is how long the caller of a failed call is asked to wait, in whole
// seconds: at least 1 for a 429 or 503, 0 where waiting does not help.
func RetryAfter(e *fault.Error) int {
	switch fault.MeaningOf(e.Code).Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return max(1, int((e.RetryAfter+time.Second-1)/time.Second))
	}
	return 0
}

// Published is e as partners see it.
func Published(e *fault.Error) *partnerv1.Error {
	out := &partnerv1.Error{
		Code:      string(e.Code),
		Message:   text(e.Message),
		Retryable: fault.MeaningOf(e.Code).Retryable,
	}
	for _, d := range e.Details {
		out.Details = append(out.Details, &partnerv1.ErrorDetail{Field: text(d.Field), Rule: d.Rule, Message: text(d.Message)})
	}
	if e.Recovery != nil {
		out.Recovery = recovery(e.Recovery)
	}
	return out
}

// text is s as a message can carry it: an error may quote what came in.
func text(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func recovery(r *fault.Recovery) *partnerv1.Recovery {
	out := &partnerv1.Recovery{
		ShortfallMinor: r.ShortfallMinor,
		Spendable:      &partnerv1.Spendable{ActualMinor: r.ActualMinor, PromoAvailableMinor: r.PromoAvailableMinor},
	}
	for _, o := range r.Options {
		option := &partnerv1.RecoveryOption{
			Type: o.Type, TopupMinor: o.TopupMinor, BonusMinor: o.BonusMinor, WalletMinor: o.WalletMinor,
			OtherMinor: o.OtherMinor, AffordableMinor: o.AffordableMinor, Summary: o.Summary,
		}
		if o.BalanceAfter != nil {
			option.BalanceAfter = &partnerv1.Spendable{ActualMinor: o.BalanceAfter.ActualMinor, PromoAvailableMinor: o.BalanceAfter.PromoAvailableMinor}
		}
		out.Options = append(out.Options, option)
	}
	return out
}
