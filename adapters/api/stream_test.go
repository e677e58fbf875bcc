package api_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/feddi/feddi/adapters/api/pipeline"
	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

func (b *bundle) incentives(protocol string, s sender) partnerv1connect.IncentivesServiceClient {
	client, options := b.way(protocol, s)
	return partnerv1connect.NewIncentivesServiceClient(client, b.server.URL, options...)
}

// keyed sends as key-a, under an Idempotency-Key.
func keyed(key string) sender {
	return sender{key: key, more: map[string]string{"Authorization": "", "X-Api-Key": "key-a"}}
}

func evaluateRequest() *partnerv1.EvaluateOffersRequest {
	return &partnerv1.EvaluateOffersRequest{
		Meta:    &partnerv1.RequestMeta{ApiVersion: version, RequestId: proto.String("req-of-the-caller")},
		Context: &partnerv1.RequestContext{MerchantId: merchant}, SessionIds: []string{"cs_1"},
	}
}

// streamed is what a stream brought.
type streamed struct {
	done   []int32 // cases done, by report
	answer *partnerv1.EvaluateOffersResponse
	header http.Header
	err    error
}

// follow reads a stream to its end; nothing may come after the answer.
func follow(ctx context.Context, t *testing.T, c partnerv1connect.IncentivesServiceClient, req *partnerv1.EvaluateOffersRequest) (out streamed) {
	t.Helper()
	s, err := c.StreamEvaluateOffers(ctx, req)
	if err != nil {
		out.err = err
		return out
	}
	defer func() { _ = s.Close() }() // read to its end, or the test has failed
	for s.Receive() {
		switch step := s.Msg().GetStep().(type) {
		case *partnerv1.StreamEvaluateOffersResponse_Progress:
			out.done = append(out.done, step.Progress.GetCasesDone())
		case *partnerv1.StreamEvaluateOffersResponse_Answer:
			out.answer = step.Answer
			continue
		}
		if out.answer != nil {
			t.Errorf("after the answer came %v", s.Msg())
		}
	}
	out.header, out.err = s.ResponseHeader(), s.Err()
	return out
}

// canonical are the bytes of a message.
func canonical(t *testing.T, m proto.Message) []byte {
	t.Helper()
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// A stream tells what is reported at its pace, the first and the last whatever
// their distance, and ends with the answer of the unary call, byte for byte.
func TestAStreamEndsWithTheUnaryAnswer(t *testing.T) {
	t.Parallel()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.trial = func(_ context.Context, report func(int)) (int, error) {
				if report != nil {
					for done := range 10 {
						if done == 6 {
							b.clock.Advance(pipeline.Pace)
						}
						report(done)
					}
				}
				return 9, nil
			}
			unary, err := b.incentives(protocol, keyed(uuid.NewString())).EvaluateOffers(t.Context(), evaluateRequest())
			if err != nil {
				t.Fatal(err)
			}
			key := uuid.NewString()
			got := follow(t.Context(), t, b.incentives(protocol, keyed(key)), evaluateRequest())
			if got.err != nil || !slices.Equal(got.done, []int32{0, 6, 9}) {
				t.Fatalf("told %v, %v", got.done, got.err)
			}
			if !bytes.Equal(canonical(t, got.answer), canonical(t, unary)) {
				t.Errorf("streamed %v\nunary %v", got.answer, unary)
			}
			if id := got.header.Get("X-Request-Id"); id != "req-of-the-caller" {
				t.Errorf("X-Request-Id %q", id)
			}
			// One key, one outcome, by whatever way: the stream again, the unary call and REST.
			again := follow(t.Context(), t, b.incentives(protocol, keyed(key)), evaluateRequest())
			if again.err != nil || len(again.done) != 0 || !again.answer.GetMeta().GetIdempotencyReplayed() || again.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("again: %+v", again)
			}
			replayed, err := b.incentives(protocol, keyed(key)).EvaluateOffers(t.Context(), evaluateRequest())
			if err != nil || !bytes.Equal(canonical(t, replayed), canonical(t, again.answer)) {
				t.Errorf("replayed %v, %v\nstreamed %v", replayed, err, again.answer)
			}
			rest := b.do(call{path: "/v1/partner/offers/evaluate", header: map[string]string{"Authorization": "", "X-Api-Key": "key-a", "Idempotency-Key": key},
				body: `{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"mer_a"},"session_ids":["cs_1"]}`})
			if rest.header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("over REST: %d %s", rest.status, rest.body)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if want := []string{"evaluateOffers 200  false", "evaluateOffers 200  false", "evaluateOffers 200  true", "evaluateOffers 200  true", "evaluateOffers 200  true"}; !slices.Equal(b.observed, want) {
				t.Errorf("observed %q", b.observed)
			}
			if n := b.api.Pipeline.Defects(); n != 0 || len(b.calls) != 2 {
				t.Errorf("%d defects, %d calls reached the handler", n, len(b.calls))
			}
		})
	}
}

// What is wrong with a call is wrong with its stream, in the same words.
func TestStreamsAreRefusedAsTheirOperation(t *testing.T) {
	t.Parallel()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.trial = func(context.Context, func(int)) (int, error) {
				return 0, fault.Field(fault.CodeNotFound, "session", "exists", "there is no such session")
			}
			bad, foreign, old := evaluateRequest(), evaluateRequest(), evaluateRequest()
			bad.SessionIds = nil
			foreign.Context.MerchantId = "mer_z"
			old.Meta.ApiVersion = "2020-01-01"
			nobody := sender{key: uuid.NewString(), more: map[string]string{"Authorization": ""}}
			terminal := sender{key: uuid.NewString()}
			unkeyed := keyed("")
			unkeyed.more["Idempotency-Key"] = ""
			for what, c := range map[string]struct {
				send sender
				req  *partnerv1.EvaluateOffersRequest
				want string
			}{
				"no credential": {nobody, bad, "UNAUTHENTICATED"}, "a terminal": {terminal, evaluateRequest(), "SCOPE_INSUFFICIENT"},
				"no key": {unkeyed, bad, "IDEMPOTENCY_KEY_MISSING"}, "another version": {keyed(uuid.NewString()), old, "UNSUPPORTED_API_VERSION"},
				"rules": {keyed(uuid.NewString()), bad, "VALIDATION_FAILED"}, "merchant": {keyed(uuid.NewString()), foreign, "MERCHANT_NOT_AUTHORIZED"},
				"the use case": {keyed(uuid.NewString()), evaluateRequest(), "NOT_FOUND"},
			} {
				_, err := b.incentives(protocol, c.send).EvaluateOffers(t.Context(), c.req)
				got := follow(t.Context(), t, b.incentives(protocol, c.send), c.req)
				one, two := typed(t, err), typed(t, got.err)
				if one.GetCode() != c.want || !proto.Equal(one, two) || connect.CodeOf(err) != connect.CodeOf(got.err) || len(got.done) > 0 || got.answer != nil {
					t.Errorf("%s: unary %v %v\nstreamed %v %v", what, connect.CodeOf(err), one, connect.CodeOf(got.err), two)
				}
			}
			b.limits.mu.Lock()
			b.limits.refused = map[string]time.Duration{"key:key_a": time.Second}
			b.limits.mu.Unlock()
			got := follow(t.Context(), t, b.incentives(protocol, keyed(uuid.NewString())), evaluateRequest())
			if typed(t, got.err).GetCode() != "RATE_LIMITED" || metaOf(got.err).Get("Retry-After") != "1" {
				t.Errorf("limited: %v %v", got.err, metaOf(got.err))
			}
		})
	}
}

func metaOf(err error) http.Header {
	var e *connect.Error
	if errors.As(err, &e) {
		return e.Meta()
	}
	return nil
}

// A failure in the middle ends the stream with its code; nothing is stored, and
// what went wrong inside stays inside.
func TestAStreamThatFails(t *testing.T) {
	t.Parallel()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for want, end := range map[string]func(ctx context.Context) error{
				"SUBSYSTEM_DEGRADED": func(context.Context) error { return fault.New(fault.CodeSubsystemDegraded, "the database is away") },
				"INTERNAL":           func(context.Context) error { panic("the secret is a pomegranate") },
			} {
				b.trial = func(ctx context.Context, report func(int)) (int, error) {
					report(0)
					report(1)
					return 0, end(ctx)
				}
				got := follow(t.Context(), t, b.incentives(protocol, keyed(uuid.NewString())), evaluateRequest())
				if e := typed(t, got.err); e.GetCode() != want || strings.Contains(e.GetMessage(), "pomegranate") || !slices.Equal(got.done, []int32{0}) || got.answer != nil {
					t.Errorf("%s: %v after %v", want, e, got.done)
				}
			}
			if n := len(b.replays.records); n != 0 {
				t.Errorf("%d outcomes are stored", n)
			}
		})
	}
}

// Who hangs up stops the work, and leaves the key unused.
func TestHangingUpStopsTheWork(t *testing.T) {
	t.Parallel()
	for protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			stopped := make(chan error, 1)
			b.trial = func(ctx context.Context, report func(int)) (int, error) {
				report(0)
				<-ctx.Done()
				stopped <- context.Cause(ctx)
				return 0, ctx.Err()
			}
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			s, err := b.incentives(protocol, keyed(uuid.NewString())).StreamEvaluateOffers(ctx, evaluateRequest())
			if err != nil {
				t.Fatal(err)
			}
			if !s.Receive() {
				t.Fatal(s.Err())
			}
			hangUp()
			if cause := <-stopped; !errors.Is(cause, context.Canceled) { // a deadline would be another
				t.Errorf("stopped by %v", cause)
			}
			for s.Receive() {
				t.Errorf("after the end came %v", s.Msg())
			}
			if n := len(b.replays.records); n != 0 {
				t.Errorf("%d outcomes are stored", n)
			}
		})
	}
}

// A deadline holds: the server's ends the stream with its code, and where the
// caller's own is the shorter one, the work has no more than that.
func TestStreamsKeepDeadlines(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"connect proto", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.trial = func(ctx context.Context, report func(int)) (int, error) {
				report(0)
				<-ctx.Done()
				return 0, ctx.Err()
			}
			got := follow(t.Context(), t, b.incentives(protocol, keyed(uuid.NewString())), evaluateRequest())
			if e := typed(t, got.err); e.GetCode() != "DEADLINE_EXCEEDED" || connect.CodeOf(got.err) != connect.CodeDeadlineExceeded || len(got.done) != 1 {
				t.Errorf("%v after %v", got.err, got.done)
			}
			left := make(chan time.Duration, 1)
			b.trial = func(ctx context.Context, _ func(int)) (int, error) {
				at, _ := ctx.Deadline()
				left <- time.Until(at)
				return 1, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			if got := follow(ctx, t, b.incentives(protocol, keyed(uuid.NewString())), evaluateRequest()); got.err != nil {
				t.Fatal(got.err)
			}
			if d := <-left; d > 1500*time.Millisecond {
				t.Errorf("%s are left of the caller's 1.5 seconds", d)
			}
		})
	}
}
