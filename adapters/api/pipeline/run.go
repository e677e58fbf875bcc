package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// Run is the core of every handler: it calls useCase with in and turns what
// comes back into the response. For an idempotent call it first says how the
// outcome is to be pinned, so that the answer stored in the use case's
// transaction is the answer given.
func Run[In, Out, Res any, P message[Res]](
	ctx context.Context, call *app.Call,
	useCase func(ctx context.Context, call *app.Call, in In) (Out, error), in In,
	encode func(call *app.Call, out Out) *Res,
) (*Res, error) {
	x := exchangeOf(ctx)
	if x == nil {
		return nil, errors.New("pipeline.Run was called outside of a call")
	}
	var pinned *Res
	status := call.Status
	write := func(out Out) *Res { // again from the start where the use case tries again
		call.Status = status
		return encode(call, out)
	}
	if call.Pin != nil {
		call.Pin.Encode = func(result any, declined *fault.Error) (idempotency.Outcome, error) {
			if declined != nil {
				x.pinned.Store(true)
				return x.pinFault(declined)
			}
			out, ok := result.(Out)
			if !ok {
				return idempotency.Outcome{}, fmt.Errorf("%s pins a %T but answers a %T", call.Operation, result, out)
			}
			res := write(out)
			outcome, err := x.pinResponse(P(res))
			if err != nil {
				return idempotency.Outcome{}, err
			}
			pinned = res
			x.pinned.Store(true)
			return outcome, nil
		}
	}
	out, err := useCase(ctx, call, in)
	if err != nil {
		return nil, err
	}
	if call.Pin != nil && pinned != nil {
		return pinned, nil
	}
	return write(out), nil
}

// SetStatus chooses another success status than the operation's ordinary one,
// for example 200 where nothing was created. The contract must list it among
// other_success, or list an error code of that status (a report that is a
// failure too, such as GET /health). It is pinned with the answer.
func SetStatus(call *app.Call, status int) { call.Status = status }

// Trace is response meta that names the decision trace behind an answer.
func Trace(id string) *partnerv1.ResponseMeta {
	if id == "" {
		return nil
	}
	return &partnerv1.ResponseMeta{DecisionTraceId: &id}
}

// Cursor is response meta that says where the next page begins; an empty next
// means that this was the last page.
func Cursor(next string) *partnerv1.ResponseMeta {
	if next == "" {
		return nil
	}
	return &partnerv1.ResponseMeta{NextCursor: &next}
}

// statusOf is the status that call's success answers with: the operation's
// own, or the listed one that the handler set.
func (x *Exchange) statusOf() (int, error) {
	op, status := x.Handler.Op, x.Call.Status
	if status == 0 {
		return op.Status(), nil
	}
	if slices.Contains(op.Statuses(), status) || x.reports(status) {
		return status, nil
	}
	return 0, fmt.Errorf("%s answers with status %d, which its contract does not list", op.ID, status)
}

func (x *Exchange) reports(status int) bool { return x.reported(status) != nil }

// reported is the failure among the operation's own codes that status stands
// for, where a report says it: GET /health answers 503 with its data.
func (x *Exchange) reported(status int) *fault.Error {
	for _, code := range x.Handler.Op.Options.GetErrors() {
		if m := fault.MeaningOf(fault.Code(code)); m.Status == status {
			return fault.New(fault.Code(code), "%s", m.What)
		}
	}
	return nil
}
