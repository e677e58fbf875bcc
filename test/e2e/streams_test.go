package e2e_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// streams are the operations that the document says are streamed.
func streams(t *testing.T) (out []document.Operation) {
	t.Helper()
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for _, op := range callable(t, method) {
			if described(t, op).Stream != nil {
				out = append(out, op)
			}
		}
	}
	if len(out) == 0 {
		t.Fatal("no operation is streamed")
	}
	return out
}

// overStream is a unary call over Connect as the call of the operation's stream.
func overStream(t *testing.T, op document.Operation, unary request) request {
	t.Helper()
	message, raw := unary.body.([]byte)
	if !raw {
		var err error
		if message, err = marshal(unary.body); err != nil {
			t.Fatal(err)
		}
	}
	r := unary
	r.rpc = described(t, op).Stream.Procedure
	r.body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	r.header = maps.Clone(unary.header)
	r.header["Content-Type"] = "application/connect+json"
	return r
}

// parts cuts the body of a stream into its messages and what it ends with.
func parts(t *testing.T, a *answer) (messages []any, end *answer) {
	t.Helper()
	for rest := a.Raw; len(rest) > 0; {
		if len(rest) < 5 || len(rest) < 5+int(binary.BigEndian.Uint32(rest[1:5])) {
			t.Fatalf("the stream broke off: %q", clip(a.Raw))
		}
		size := 5 + int(binary.BigEndian.Uint32(rest[1:5]))
		body, err := shape.Decode(rest[5:size])
		switch {
		case err != nil:
			t.Fatalf("%v: %q", err, clip(a.Raw))
		case rest[0] == 2: // the end of the stream, in Connect's protocol
			end = &answer{Status: a.Status, Header: a.Header, Raw: rest[5:size], Body: object{"details": shape.At(body, "error.details")}}
		default:
			messages = append(messages, body)
		}
		rest = rest[size:]
	}
	if end == nil {
		t.Fatalf("the stream has no end: %d %q", a.Status, clip(a.Raw))
	}
	return messages, end
}

// Every streamed operation tells how far it is and ends with the answer of the
// unary call, under one key with it; and what is refused there is refused here,
// with the same code.
func TestEveryStreamIsItsOperation(t *testing.T) {
	t.Parallel()
	for _, op := range streams(t) {
		t.Run(op.ID, func(t *testing.T) {
			t.Parallel()
			s, foreign := stocked(t), open(t)
			good := s.overConnect(op, s.good(op))
			good.key = uuid.NewString()
			messages, end := parts(t, send(t, overStream(t, op, good)))
			if found := rpcError(end); found != nil || len(messages) < 3 {
				t.Fatalf("%d messages, %v", len(messages), found)
			}
			for _, m := range messages[:len(messages)-1] {
				if shape.At(m, "progress") == nil {
					t.Errorf("%v is no progress", m)
				}
			}
			rpc := send(t, good)
			if rpc.Header.Get("Idempotency-Replayed") != "true" {
				t.Error("the unary call did it again")
			}
			if diff := cmp.Diff(unmarked(shape.At(messages[len(messages)-1], "answer")), unmarked(rpc.Body)); diff != "" {
				t.Errorf("- streamed, + unary:\n%s", diff)
			}
			again, end := parts(t, send(t, overStream(t, op, good)))
			if rpcError(end) != nil || len(again) != 1 || shape.At(again[0], "answer.meta.idempotencyReplayed") != true {
				t.Errorf("again: %v", again)
			}
			s.ended()
			for _, b := range s.badCalls(op, good, foreign.made.text("data.merchant_id")) {
				messages, end := parts(t, send(t, overStream(t, op, b.call)))
				if found := rpcError(end); found.GetCode() != b.code || len(messages) > 0 {
					t.Errorf("%s: %v after %d messages, want %s", b.what, found, len(messages), b.code)
				}
			}
		})
	}
}

// unmarked is an answer over Connect without what tells a replay from its original.
func unmarked(a any) object {
	out := maps.Clone(a.(object))
	meta := maps.Clone(out["meta"].(object))
	delete(meta, "idempotencyReplayed")
	out["meta"] = meta
	return out
}

// The capabilities tell of a stream at its operation, and list none beside.
func TestCapabilitiesTellOfStreams(t *testing.T) {
	t.Parallel()
	s, found := open(t), 0
	listed, _ := s.manage("/capabilities", nil).at("data.operations").([]any)
	for _, row := range listed {
		o := described(t, document.Operation{ID: row.(object)["operation_id"].(string)})
		stream, told := row.(object)["stream"]
		if told != (o.Stream != nil) || told && stream != o.Stream.Procedure {
			t.Errorf("%v", row)
		}
		if told {
			found++
		}
	}
	if found == 0 || len(listed) != len(system.spec.Operations()) {
		t.Errorf("%d operations are listed, %d of them with a stream", len(listed), found)
	}
}

// A trial over every protocol, streamed: from no case to all, and at last byte
// for byte what the unary call answers to the same message.
func TestEvaluateOffersStreamed(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550163")
	session := s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK)
	never := s.session()
	ask := func(sessions ...string) *partnerv1.EvaluateOffersRequest {
		return &partnerv1.EvaluateOffersRequest{
			Meta: &partnerv1.RequestMeta{ApiVersion: version, RequestId: proto.String("trial-1")}, Context: s.place(), SessionIds: sessions,
			Baskets: []*partnerv1.EvaluationBasket{{BasketId: "two lattes", Lines: []*partnerv1.BasketLine{
				{LineId: "1", Sku: "LATTE", Quantity: 2, UnitPriceMinor: 450, Category: proto.String("coffee")},
			}}},
			Drafts: []*partnerv1.OfferDraft{{
				DraftId: "latte-75", Kind: "item_discount", Title: "75 off each latte", Targets: &partnerv1.OfferTargets{Skus: []string{"LATTE"}},
				Value: &partnerv1.OfferValueSpec{Type: "amount", AmountMinor: proto.Int64(75), Per: proto.String("unit")},
			}},
		}
	}
	for _, p := range append(slices.Clone(protocols), protocol{name: "connect binary over h2c", h2c: true}) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			key := uuid.NewString()
			unary, err := p.clients(&headers{as: s.key}).incentives.EvaluateOffers(t.Context(), ask(session, never))
			if err != nil {
				t.Fatal(err)
			}
			told, answer, err := followed(t.Context(), p.clients(&headers{as: s.key, key: key}), ask(session, never))
			if err != nil || len(told) < 2 {
				t.Fatalf("told %v, %v", told, err)
			}
			first, last := told[0], told[len(told)-1]
			if first.GetCasesDone() != 0 || first.GetCasesTotal() != 3 || last.GetCasesDone() != 3 || last.GetCasesTotal() != 3 {
				t.Errorf("from %v to %v", first, last)
			}
			if diff := cmp.Diff(answer.GetTotals(), last.GetTotals(), protocmp.Transform()); diff != "" || last.GetTotals().GetSkippedCount() != 1 {
				t.Errorf("the last sums are not the answer's:\n%s", diff)
			}
			if one, two := wire(t, unary), wire(t, answer); !bytes.Equal(one, two) {
				t.Errorf("streamed %v\nunary %v", answer, unary)
			}
			told, again, err := followed(t.Context(), p.clients(&headers{as: s.key, key: key}), ask(session, never))
			if err != nil || len(told) != 0 || !again.GetMeta().GetIdempotencyReplayed() {
				t.Errorf("again: %v %v, %v", told, again, err)
			}
			if again.Meta.IdempotencyReplayed = false; !bytes.Equal(wire(t, again), wire(t, answer)) {
				t.Errorf("again %v\nfirst %v", again, answer)
			}
			for what, c := range map[string]struct {
				as   headers
				req  *partnerv1.EvaluateOffersRequest
				code string
			}{
				"another payload under the key": {headers{as: s.key, key: key}, ask(session), "IDEMPOTENCY_KEY_REUSED"},
				"a session of nobody":           {headers{as: s.key}, ask("cs_none"), "NOT_FOUND"},
				"a till":                        {headers{as: s.till}, ask(session), "SCOPE_INSUFFICIENT"},
			} {
				told, answer, err := followed(t.Context(), p.clients(&c.as), c.req)
				if found, wrong := detailOf(err); wrong != nil || found.GetCode() != c.code || len(told) > 0 || answer != nil {
					t.Errorf("%s: %v, %v", what, err, found)
				}
			}
		})
	}
}

// wire are the bytes of a message.
func wire(t *testing.T, m proto.Message) []byte {
	t.Helper()
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// followed reads a stream to its end.
func followed(ctx context.Context, c clients, req *partnerv1.EvaluateOffersRequest) (told []*partnerv1.EvaluateOffersProgress, answer *partnerv1.EvaluateOffersResponse, err error) {
	stream, err := c.incentives.StreamEvaluateOffers(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = stream.Close() }() // Err says how it ended
	for stream.Receive() {
		if p := stream.Msg().GetProgress(); p != nil {
			told = append(told, p)
		}
		answer = stream.Msg().GetAnswer()
	}
	return told, answer, stream.Err()
}

// Who hangs up stops the query that runs for them, long before its deadline.
func TestHangingUpStopsTheQuery(t *testing.T) {
	t.Parallel()
	server, o := own(t)
	s := openOn(t, server.URL)
	session := s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	s.expect(s.get("/checkout/sessions/"+session+"/offers"), http.StatusOK)
	for _, p := range protocols {
		lock := locked(t, o.DSN, "decision_traces") // what the trial has to read
		ctx, hangUp := context.WithCancel(t.Context())
		stream, err := p.clientsOn(server.URL, &headers{as: s.key}).incentives.StreamEvaluateOffers(ctx, &partnerv1.EvaluateOffersRequest{
			Meta: rpcMeta(), Context: s.place(), SessionIds: []string{session},
		})
		if err != nil || !stream.Receive() || stream.Msg().GetProgress().GetCasesTotal() != 1 {
			t.Fatalf("%s: %v, %v", p.name, stream.Msg(), err)
		}
		lock.waiting(t, 1)
		hangUp()
		lock.waiting(t, 0)
		lock.open(t)
	}
	eventually(t, func() error { // by the caller, not by a deadline
		canceled := 0
		for line := range splitLines(server.Output()) {
			if strings.Contains(line, "evaluateOffers") && strings.Contains(line, "context canceled") {
				canceled++
			}
		}
		if canceled != len(protocols) {
			return fmt.Errorf("%d calls were cancelled of %d", canceled, len(protocols))
		}
		return nil
	})
}

// lock keeps a table from everybody else.
type lock struct{ conn, look *pgx.Conn }

func locked(t *testing.T, dsn, table string) lock {
	t.Helper()
	l := lock{connected(t, dsn), connected(t, dsn)}
	if _, err := l.conn.Exec(t.Context(), "begin; lock table "+table+" in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	return l
}

func connected(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// waiting waits until so many readings of sessions' feeds stand before the lock.
func (l lock) waiting(t *testing.T, want int) {
	t.Helper()
	eventually(t, func() error {
		var n int
		err := l.look.QueryRow(t.Context(), `select count(*) from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock' and query like '%want.session_id%'`).Scan(&n)
		if err == nil && n != want {
			err = fmt.Errorf("%d queries wait, want %d", n, want)
		}
		return err
	})
}

// open lets everybody in again.
func (l lock) open(t *testing.T) {
	t.Helper()
	if _, err := l.conn.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
}
