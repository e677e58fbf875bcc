package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

// pin fixes what identifies this call, and looks whether it has an outcome
// already: then it returns the *app.Replay, or IDEMPOTENCY_KEY_REUSED.
func (p *Pipeline) pin(ctx context.Context, x *Exchange, req proto.Message) error {
	hash, err := payloadHash(req)
	if err != nil {
		return fault.Internal(err)
	}
	x.Call.Pin = &app.Pin{
		Scope: idempotency.Scope{
			PartnerID: partnerOf(x.Call.Actor), Mode: x.Call.Actor.Mode, Operation: x.Call.Operation, Key: x.key,
		},
		PayloadHash: hash,
		TTL:         x.Handler.Op.TTL(),
	}
	if !x.Handler.searched {
		return nil
	}
	found, err := p.Replays.Find(ctx, x.Call.Pin.Scope, p.Clock.Now())
	if err != nil || found == nil {
		return err
	}
	return x.Call.Pin.Check(*found)
}

// payloadHash is SHA-256 of the decoded message without meta.request_id: the
// same payload through either door, in any member order, gives the same hash.
func payloadHash(req proto.Message) (hash [32]byte, err error) {
	var meta *partnerv1.RequestMeta
	if carrier, ok := req.(withRequestMeta); ok {
		meta = carrier.GetMeta()
	}
	if meta != nil {
		defer func(id *string) { meta.RequestId = id }(meta.RequestId)
		meta.RequestId = nil
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	return sha256.Sum256(wire), err
}

// pinResponse is the outcome to store for a success.
func (x *Exchange) pinResponse(res proto.Message) (idempotency.Outcome, error) {
	status, err := x.statusOf()
	if err != nil {
		return idempotency.Outcome{}, err
	}
	x.finish(res)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(res)
	if err != nil {
		return idempotency.Outcome{}, err
	}
	x.wire = body
	return x.seal(idempotency.Outcome{Status: status, Body: body})
}

// The fields of a stored 402: the published error and the meta beside it.
const (
	pinnedError protowire.Number = 1
	pinnedMeta  protowire.Number = 2
)

// pinFault is the outcome to store for a decline.
func (x *Exchange) pinFault(e *fault.Error) (idempotency.Outcome, error) {
	meta := x.meta()
	if e.TraceID != "" {
		meta.DecisionTraceId = &e.TraceID
	}
	var body []byte
	for _, part := range []struct {
		field protowire.Number
		m     proto.Message
	}{{pinnedError, Published(e)}, {pinnedMeta, meta}} {
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(part.m)
		if err != nil {
			return idempotency.Outcome{}, err
		}
		body = protowire.AppendBytes(protowire.AppendTag(body, part.field, protowire.BytesType), wire)
	}
	return x.seal(idempotency.Outcome{Status: fault.MeaningOf(e.Code).Status, Body: body})
}

// replay answers with a stored outcome: the same status and bytes, but for
// meta.idempotency_replayed.
func (x *Exchange) replay(r idempotency.Record) (*Answer, error) {
	if r.Outcome.Status == 0 {
		return nil, fault.New(fault.CodeIdempotencyInProgress, "the first call with this Idempotency-Key is still running; repeat this one with the same key")
	}
	body, err := x.unseal(r)
	if err != nil {
		return nil, err
	}
	if r.Outcome.Status >= http.StatusBadRequest {
		return replayFault(r.Outcome.Status, body)
	}
	res := x.Handler.NewResponse()
	if err := proto.Unmarshal(body, res); err != nil {
		return nil, fmt.Errorf("the stored answer of %s cannot be read: %w", r.Operation, err)
	}
	meta := x.meta()
	if carrier, ok := res.(withMeta); ok && carrier.GetMeta() != nil {
		meta = carrier.GetMeta()
	}
	meta.IdempotencyReplayed = true
	return &Answer{Status: r.Outcome.Status, Message: res, Wire: body, Meta: meta}, nil
}

func replayFault(status int, body []byte) (*Answer, error) {
	published, meta := &partnerv1.Error{}, &partnerv1.ResponseMeta{}
	for len(body) > 0 {
		field, kind, n := protowire.ConsumeTag(body)
		if n < 0 || kind != protowire.BytesType {
			return nil, errors.New("a stored decline cannot be read")
		}
		wire, m := protowire.ConsumeBytes(body[n:])
		if m < 0 {
			return nil, errors.New("a stored decline cannot be read")
		}
		body = body[n+m:]
		var into proto.Message = published
		if field == pinnedMeta {
			into = meta
		}
		if err := proto.Unmarshal(wire, into); err != nil {
			return nil, err
		}
	}
	meta.IdempotencyReplayed = true
	e := &fault.Error{Code: fault.Code(published.GetCode()), Message: published.GetMessage(), TraceID: meta.GetDecisionTraceId()}
	return &Answer{Status: status, Fault: e, Error: published, Meta: meta}, nil
}
