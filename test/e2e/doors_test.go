package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/feddi/feddi/adapters/api/operation"
	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/test/e2e/internal/document"
)

// described is the descriptor of an operation of the document.
func described(t *testing.T, op document.Operation) *operation.Operation {
	t.Helper()
	c, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	o := c.ID(op.ID)
	if o == nil {
		t.Fatalf("%s has no descriptor", op.ID)
	}
	return o
}

// overConnect is a REST request as the unary call of the Connect protocol that
// means the same, with its message as JSON.
func (s *shop) overConnect(op document.Operation, r request) request {
	s.t.Helper()
	o := described(s.t, op)
	message := object{}
	if body, ok := r.body.(object); ok {
		maps.Copy(message, body)
	}
	path, query, _ := strings.Cut(r.path, "?")
	parts := strings.Split(path, "/")
	for i, segment := range o.Segments {
		if segment.Field != nil {
			message[string(segment.Field.Name())] = parts[i+1]
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			message[name] = strings.ReplaceAll(value, "%2B", "+")
		}
	}
	return request{rpc: o.Procedure, as: r.as, key: r.key, body: message, header: map[string]string{"Connect-Protocol-Version": "1"}}
}

// rpcCode is the code of a refusal over Connect, from the one detail of its
// error; empty on success.
func rpcCode(t *testing.T, a *answer) string {
	t.Helper()
	if a.Status == http.StatusOK {
		return ""
	}
	if found := rpcError(a); found != nil {
		return found.GetCode()
	}
	t.Errorf("a refusal without our detail: %d %s", a.Status, a.Raw)
	return "?"
}

func rpcError(a *answer) *partnerv1.Error {
	if a.text("details.0.type") != "feddi.partner.v1.Error" {
		return nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(a.text("details.0.value"))
	found := &partnerv1.Error{}
	if err != nil || proto.Unmarshal(raw, found) != nil {
		return nil
	}
	return found
}

// messages are an answer over REST and one over Connect as the operation's
// message.
func messages(t *testing.T, o *operation.Operation, rest, rpc *answer) (overREST, overConnect protoreflect.Message) {
	t.Helper()
	merged := object{"meta": rest.at("meta")}
	data, _ := rest.at("data").(object)
	maps.Copy(merged, data)
	raw, err := marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	one, two := dynamicpb.NewMessage(o.Output), dynamicpb.NewMessage(o.Output)
	if err := protojson.Unmarshal(raw, one); err != nil {
		t.Fatalf("%s over REST is not its message: %v\n%s", o.ID, err, raw)
	}
	if err := protojson.Unmarshal(rpc.Raw, two); err != nil {
		t.Fatalf("%s over Connect is not its message: %v\n%s", o.ID, err, rpc.Raw)
	}
	return one, two
}

// Every operation that changes something does the same through both doors:
// what one did, the other answers again under the same key, byte for byte; and
// another payload under that key is refused.
func TestEveryChangeReplaysThroughBothDoors(t *testing.T) {
	t.Parallel()
	for _, op := range callable(t, http.MethodPost) {
		t.Run(op.ID, func(t *testing.T) {
			t.Parallel()
			for _, first := range []string{"REST", "Connect"} {
				s := stocked(t)
				rest := s.good(op)
				rest.key = uuid.NewString()
				rpc := s.overConnect(op, rest)
				var overREST, overConnect *answer
				if first == "REST" {
					overREST = send(t, rest)
					overConnect = send(t, rpc)
				} else {
					overConnect = send(t, rpc)
					overREST = send(t, rest)
				}
				if overREST.Status >= 300 || overConnect.Status != http.StatusOK {
					t.Errorf("%s first: %d %s\nand %d %s", first, overREST.Status, overREST.Raw, overConnect.Status, overConnect.Raw)
					continue
				}
				later := overConnect.Header.Get("Idempotency-Replayed")
				if first == "Connect" {
					later = overREST.Header.Get("Idempotency-Replayed")
				}
				if later != "true" {
					t.Errorf("%s first: the other door did it again", first)
				}
				one, two := messages(t, described(t, op), overREST, overConnect)
				unmark(one)
				unmark(two)
				if diff := cmp.Diff(one.Interface(), two.Interface(), protocmp.Transform()); diff != "" {
					t.Errorf("%s first (- REST, + Connect):\n%s", first, diff)
				}
				if again := send(t, rest); !bytes.Equal(fresh(again.Raw), fresh(overREST.Raw)) || again.Status != overREST.Status {
					t.Errorf("%s\nand again\n%s", overREST.Raw, again.Raw)
				}
				s.otherPayload(op, rest)
			}
		})
	}
}

// otherPayload sends another payload under a key that has an outcome, through
// both doors.
func (s *stock) otherPayload(op document.Operation, r request) {
	s.t.Helper()
	body := object{}
	maps.Copy(body, bodyOf(r))
	if where, ok := body["context"].(object); ok {
		where = maps.Clone(where)
		where["cashier_id"] = "c-18"
		body["context"] = where
	} else {
		body["currency"] = "EUR"
	}
	r.body = body
	s.refused(send(s.t, r), http.StatusConflict, "IDEMPOTENCY_KEY_REUSED")
	if code := rpcCode(s.t, send(s.t, s.overConnect(op, r))); code != "IDEMPOTENCY_KEY_REUSED" {
		s.t.Errorf("over Connect another payload is %s", code)
	}
}

// unmark clears what tells a replay from its original.
func unmark(m protoreflect.Message) {
	f := m.Descriptor().Fields().ByName("meta")
	if f == nil {
		return
	}
	meta := m.Mutable(f).Message()
	meta.Clear(meta.Descriptor().Fields().ByName("idempotency_replayed"))
}

// Every read gives the same through both doors.
func TestEveryReadThroughBothDoors(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	for _, op := range callable(t, http.MethodGet) {
		if op.ID == "getOpenApiSpec" || op.ID == "getHealth" { // raw; and its uptime moves
			continue
		}
		r := request{method: http.MethodGet, path: s.path(op), as: s.caller(op)}
		if op.ID == "lookupCustomer" {
			r.path += "?phone=%2B14155550123"
		}
		t.Run(op.ID, func(t *testing.T) { // one by one: an offer feed makes decisions, which a list shows
			// Jobs work beside it (an archive that was asked for is made): what both
			// doors show may change once between them, and does not differ again.
			diff := ""
			for range 3 {
				rest, rpc := send(t, r), send(t, s.overConnect(op, r))
				if rest.Status != http.StatusOK || rpc.Status != http.StatusOK {
					t.Fatalf("%d %s\nand %d %s", rest.Status, rest.Raw, rpc.Status, rpc.Raw)
				}
				one, two := messages(t, described(t, op), rest, rpc)
				scrub(one)
				scrub(two)
				if diff = cmp.Diff(one.Interface(), two.Interface(), protocmp.Transform()); diff == "" {
					return
				}
			}
			t.Errorf("- REST, + Connect:\n%s", diff)
		})
	}
}

// Every operation refuses over Connect what it refuses over REST, with the
// same codes.
func TestEveryOperationRefusesOverConnect(t *testing.T) {
	t.Parallel()
	s, foreign := stocked(t), open(t)
	s.ended()
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for _, op := range callable(t, method) {
			if op.ID == "getOpenApiSpec" || op.ID == "getHealth" {
				continue
			}
			r := request{method: method, path: s.path(op), as: s.caller(op), body: s.whole(maps.Clone(op.Example))}
			if op.ID == "lookupCustomer" {
				r.path += "?phone=%2B14155550123"
			}
			if method == http.MethodGet {
				r.body = nil
			} else {
				r.body.(object)["context"] = s.where
			}
			good := s.overConnect(op, r)
			t.Run(op.ID, func(t *testing.T) {
				t.Parallel()
				for _, b := range s.badCalls(op, good, foreign.made.text("data.merchant_id")) {
					a := send(t, b.call)
					if code := rpcCode(t, a); code != b.code {
						t.Errorf("%s: %s, want %s: %s", b.what, code, b.code, clip(a.Raw))
					}
				}
			})
		}
	}
}

// GET /health takes nothing, so that over REST nothing can be wrong with it;
// over Connect a message can.
func TestHealthTakesNothing(t *testing.T) {
	t.Parallel()
	health := request{rpc: "/feddi.partner.v1.PlatformService/GetHealth", body: object{}}
	a := send(t, health.with(object{"colour": "red"}))
	if code := rpcCode(t, a); code != "VALIDATION_FAILED" {
		t.Errorf("%s: %s", code, a.Raw)
	}
	rest := send(t, request{method: http.MethodGet, path: "/health"})
	if over := send(t, health); over.Status != http.StatusOK || over.text("status") != rest.text("data.status") {
		t.Errorf("%s\nand over Connect %d %s", rest.Raw, over.Status, over.Raw)
	}
}

// badCalls are wrong calls over Connect of an operation.
func (s *stock) badCalls(op document.Operation, good request, stranger string) (out []bad) {
	add := func(what, code string, change func(r *request, message object)) {
		r := good
		message := maps.Clone(bodyOf(good))
		change(&r, message)
		if r.body = any(message); len(r.raw) > 0 {
			r.body = r.raw
		}
		out = append(out, bad{what: what, call: r, code: code})
	}
	for _, b := range credentials(s, op, good) {
		out = append(out, bad{what: b.what, call: b.call, code: b.code})
	}
	add("unknown member", "VALIDATION_FAILED", func(_ *request, m object) { m["colour"] = "red" })
	add("no JSON", "VALIDATION_FAILED", func(r *request, _ object) { r.raw = []byte("{") })
	if op.Method == http.MethodGet {
		return out
	}
	header := func(name, value string) func(r *request, _ object) {
		return func(r *request, _ object) {
			r.header = maps.Clone(r.header)
			r.header[name] = value
		}
	}
	add("no key", "IDEMPOTENCY_KEY_MISSING", header("Idempotency-Key", ""))
	add("a key that is none", "IDEMPOTENCY_KEY_INVALID", header("Idempotency-Key", "abc"))
	add("a wrong type", "VALIDATION_FAILED", func(_ *request, m object) { m["meta"] = 5 })
	add("another version", "UNSUPPORTED_API_VERSION", func(_ *request, m object) { m["meta"] = object{"api_version": "2020-01-01"} })
	add("too much", "BODY_TOO_LARGE", func(r *request, m object) {
		m["colour"] = strings.Repeat("x", 1<<20)
		r.raw, _ = json.Marshal(m)
	})
	if op.Example["context"] != nil {
		add("another's merchant", "MERCHANT_NOT_AUTHORIZED", func(_ *request, m object) { m["context"] = object{"merchant_id": stranger} })
	}
	return out
}
