package strictjson

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/fault"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

func planOf(t testing.TB, d protoreflect.MessageDescriptor) *Plan {
	t.Helper()
	p, err := NewPlans().Of(d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func planFor(t testing.TB, m proto.Message) *Plan { return planOf(t, m.ProtoReflect().Descriptor()) }

func written(t interface{ Fatal(...any) }, p *Plan, m protoreflect.Message, without string) []byte {
	text, err := p.Append(nil, m.Interface(), without)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is written reads back as it was, and protojson, which knows both forms
// of everything, reads the same from it.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	types := []protoreflect.MessageType{
		allKinds(t),
		(&partnerv1.PaymentAuthorizeRequest{}).ProtoReflect().Type(), (&partnerv1.PaymentAuthorizeResponse{}).ProtoReflect().Type(),
		(&partnerv1.CloseCheckoutSessionResponse{}).ProtoReflect().Type(), (&partnerv1.GetSessionOffersResponse{}).ProtoReflect().Type(),
		(&partnerv1.GetCapabilitiesResponse{}).ProtoReflect().Type(), (&partnerv1.CreateOfferRequest{}).ProtoReflect().Type(),
		(&partnerv1.Error{}).ProtoReflect().Type(),
	}
	for _, kind := range types {
		t.Run(string(kind.Descriptor().Name()), func(t *testing.T) {
			t.Parallel()
			plan := planOf(t, kind.Descriptor())
			rapid.Check(t, func(t *rapid.T) {
				m := kind.New()
				fill(t, m, 2)
				text := written(t, plan, m, "")
				back := kind.New()
				if err := plan.Decode(text, back); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				if !proto.Equal(m.Interface(), back.Interface()) {
					t.Fatalf("wrote\n%v\nread\n%v\nfrom %s", m, back, text)
				}
				oracle := kind.New()
				if err := protojson.Unmarshal(text, oracle.Interface()); err != nil {
					t.Fatalf("protojson: %v\n%s", err, text)
				}
				if !proto.Equal(m.Interface(), oracle.Interface()) {
					t.Fatalf("protojson read\n%v\nfrom %s", oracle, text)
				}
				if again := written(t, plan, back, ""); string(again) != string(text) {
					t.Fatalf("not stable: %s\n%s", text, again)
				}
			})
		})
	}
}

// detail is the first detail's field and rule, with a space between.
func detail(t *testing.T, err error) string {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.CodeValidationFailed || len(e.Details) == 0 {
		t.Fatalf("not a refusal of the contract: %v", err)
	}
	return e.Details[0].Field + " " + e.Details[0].Rule
}

func TestRefused(t *testing.T) {
	t.Parallel()
	kind := allKinds(t)
	plan := planOf(t, kind.Descriptor())
	deep := strings.Repeat(`{"one_MESSAGE":`, 32) + `{}` + strings.Repeat(`}`, 32)
	for text, want := range map[string]string{
		// not JSON
		``: " json", ` `: " json", `{`: " json", `{}x`: " json", `{}{}`: " json", `{"one_INT64":1,}`: " json", `{,}`: " json",
		`{one_INT64:1}`: " json", `{"one_INT64" 1}`: " json", `{"one_INT64":}`: "one_INT64 type", `{"one_INT64":01}`: "one_INT64 json",
		`{"one_INT64":1.}`: "one_INT64 json", `{"one_INT64":1e}`: "one_INT64 json", `{"one_INT64":-}`: "one_INT64 json", `{"one_INT64":+1}`: "one_INT64 type",
		`{"one_STRING":"a`: "one_STRING json", "{\"one_STRING\":\"\n\"}": "one_STRING json", `{"one_STRING":"\x"}`: "one_STRING json",
		`{"one_STRING":"\u12"}`: "one_STRING json", `{"one_STRING":"\ud800"}`: "one_STRING json", `{"one_STRING":"\ud800\u0041"}`: "one_STRING json",
		"{\"one_STRING\":\"\xff\"}": " json", "\xef\xbb\xbf{}": " json", `{"one_BOOL":tru}`: "one_BOOL json", `{"one_BOOL":nul}`: "one_BOOL json",
		`{"many_INT64":[1,]}`: "many_INT64[1] type", `{"many_INT64":[1 2]}`: "many_INT64 json", `{'one_INT64':1}`: " json", `{"one_INT64":1/**/}`: " json",
		deep: strings.TrimPrefix(strings.Repeat(".one_MESSAGE", 32), ".") + " json",
		// not an object
		`[]`: " object", `1`: " object", `"x"`: " object", `null`: " object", `true`: " object",
		// members
		`{"nope":1}`: "nope unknown_member", `{"oneINT64":1}`: "oneINT64 unknown_member", `{"one_int64":1}`: "one_int64 unknown_member",
		`{"ONE_INT64":1}`: "ONE_INT64 unknown_member", `{"one_INT64":1,"one_INT64":1}`: "one_INT64 unique_member",
		`{"one_MESSAGE":{"nope":{"x":[1,"a"]}}}`: "one_MESSAGE.nope unknown_member", `{"many_MESSAGE":[{},{"nope":1}]}`: "many_MESSAGE[1].nope unknown_member",
		`{"mapINT64":{"a":1,"a":2}}`: "mapINT64.a unique_member", `{"facts":{"a":{"b":1,"b":2}}}`: "facts.a.b unique_member",
		// types
		`{"one_INT64":"5"}`: "one_INT64 type", `{"one_INT64":5.0}`: "one_INT64 integer", `{"one_INT64":5e0}`: "one_INT64 integer", `{"one_INT64":5E2}`: "one_INT64 integer",
		`{"one_INT64":true}`: "one_INT64 type", `{"one_INT64":null}`: "one_INT64 type", `{"one_INT64":[1]}`: "one_INT64 type", `{"one_STRING":5}`: "one_STRING type",
		`{"one_STRING":null}`: "one_STRING type", `{"one_BOOL":1}`: "one_BOOL type", `{"one_BOOL":"true"}`: "one_BOOL type", `{"one_DOUBLE":"1"}`: "one_DOUBLE type",
		`{"one_ENUM":1}`: "one_ENUM type", `{"one_ENUM":"GREEN"}`: "one_ENUM enum", `{"one_BYTES":"%%"}`: "one_BYTES base64", `{"one_BYTES":"QQ"}`: "one_BYTES base64",
		`{"one_MESSAGE":[]}`: "one_MESSAGE type", `{"one_MESSAGE":"x"}`: "one_MESSAGE type", `{"many_INT64":1}`: "many_INT64 type", `{"many_INT64":null}`: "many_INT64 type",
		`{"many_INT64":[1,null]}`: "many_INT64[1] type", `{"many_MESSAGE":[null]}`: "many_MESSAGE[0] type", `{"mapINT64":[]}`: "mapINT64 type", `{"mapINT64":null}`: "mapINT64 type",
		`{"mapINT64":{"a":"x"}}`: "mapINT64.a type", `{"facts":[]}`: "facts type", `{"facts":1}`: "facts type",
		// ranges
		`{"one_INT32":2147483648}`: "one_INT32 range", `{"one_INT32":-2147483649}`: "one_INT32 range", `{"one_INT64":9223372036854775808}`: "one_INT64 range",
		`{"one_INT64":-9223372036854775809}`: "one_INT64 range", `{"one_INT64":99999999999999999999999}`: "one_INT64 range", `{"one_UINT32":-1}`: "one_UINT32 range",
		`{"one_UINT32":4294967296}`: "one_UINT32 range", `{"one_UINT64":18446744073709551616}`: "one_UINT64 range", `{"one_UINT64":-1}`: "one_UINT64 range",
		`{"one_DOUBLE":1e999}`: "one_DOUBLE range", `{"one_FLOAT":1e99}`: "one_FLOAT range", `{"facts":{"a":1e999}}`: "facts.a range",
		// times
		`{"at":1}`: "at type", `{"at":"today"}`: "at timestamp", `{"at":"2026-06-01"}`: "at timestamp", `{"at":"2026-06-01T12:00:00"}`: "at timestamp",
		`{"at":"2026-06-01 12:00:00Z"}`: "at timestamp", `{"at":"2026-13-01T12:00:00Z"}`: "at timestamp", `{"at":"2026-06-01T12:00:00,5Z"}`: "at timestamp",
		`{"at":"0000-01-01T00:00:00Z"}`: "at timestamp", `{"at":"2026-06-01T12:00:00.1234567891Z"}`: "at timestamp",
	} {
		m := kind.New()
		if err := plan.Decode([]byte(text), m); err == nil {
			t.Errorf("%s: accepted as %v", text, m)
		} else if got := detail(t, err); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	kind := allKinds(t)
	plan := planOf(t, kind.Descriptor())
	deep := strings.Repeat(`{"one_MESSAGE":`, 31) + `{}` + strings.Repeat(`}`, 31)
	for text, want := range map[string]string{
		" \t\r\n{ } \n":        `{}`,
		`{"one_INT64" : -0}`:   `{}`,
		`{"maybe_INT64":null}`: `{}`,
		`{"maybe_INT64":0}`:    `{"maybe_INT64":"0"}`,
		`{"one_MESSAGE":null}`: `{}`,
		`{"one_INT64":-9223372036854775808,"one_UINT64":18446744073709551615}`: `{"one_INT64":"-9223372036854775808","one_UINT64":"18446744073709551615"}`,
		`{"one_DOUBLE":5e0,"one_FLOAT":5}`:                                     `{"one_FLOAT":5,"one_DOUBLE":5}`,
		`{"one_STRING":"\u00e9\ud83d\ude00\/\b\f"}`:                            `{"one_STRING":"é😀/\b\f"}`,
		`{"one_ENUM":"RED","one_BYTES":"QQ=="}`:                                `{"one_BYTES":"QQ==","one_ENUM":"RED"}`,
		`{"at":"2026-06-01T14:00:00.5+02:00"}`:                                 `{"at":"2026-06-01T12:00:00.500Z"}`,
		`{"facts":{"a":[1,null,{"b":"x"}]}}`:                                   `{"facts":{"a":[1,null,{"b":"x"}]}}`,
		`{"mapMESSAGE":{"k":{"one_BOOL":true}},"mapSTRING":{"":"v"}}`:          `{"mapSTRING":{"":"v"},"mapMESSAGE":{"k":{"one_BOOL":true}}}`,
		deep: deep,
	} {
		got, wanted := kind.New(), kind.New()
		if err := plan.Decode([]byte(text), got); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := protojson.Unmarshal([]byte(want), wanted.Interface()); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if !proto.Equal(got.Interface(), wanted.Interface()) {
			t.Errorf("%s: %v, want %v", text, got, wanted)
		}
	}
}

// Everything that is wrong is named at once, up to a bound.
func TestEveryMistakeIsNamed(t *testing.T) {
	t.Parallel()
	plan := planFor(t, &partnerv1.PaymentAuthorizeRequest{})
	var e *fault.Error
	err := plan.Decode([]byte(`{"amountMinor":5,"amount_minor":"5","currency":null,"credential":{"value":7,"x":{}},"context":3}`), (&partnerv1.PaymentAuthorizeRequest{}).ProtoReflect())
	if !errors.As(err, &e) || len(e.Details) != 6 {
		t.Fatalf("%v", err)
	}
	if e.Details[0].Message != "the contract has no member of this name; it is written amount_minor" || !strings.Contains(e.Message, "and 5 more") {
		t.Errorf("%q, %q", e.Details[0].Message, e.Message)
	}
	many := `{` + strings.TrimSuffix(strings.Repeat(`"x":1,`, 1000), ",") + `}`
	if err := plan.Decode([]byte(many), (&partnerv1.PaymentAuthorizeRequest{}).ProtoReflect()); !errors.As(err, &e) || len(e.Details) != maxDetails {
		t.Errorf("%d details", len(e.Details))
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	plan := planFor(t, &partnerv1.PaymentCaptureRequest{}).Without("id")
	if err := plan.Decode([]byte(`{"id":"pay_1"}`), (&partnerv1.PaymentCaptureRequest{}).ProtoReflect()); err == nil || detail(t, err) != "id unknown_member" {
		t.Errorf("%v", err)
	}
	text := written(t, planFor(t, &partnerv1.ResponseMeta{}), (&partnerv1.ResponseMeta{RequestId: "r"}).ProtoReflect(), "api_version")
	if string(text) != `{"request_id":"r","idempotency_replayed":false}` {
		t.Errorf("%s", text)
	}
}

// Whatever is accepted means the same to protojson, which is the more lenient
// reader; nothing makes the decoder panic.
func FuzzDecode(f *testing.F) {
	kind := allKinds(f)
	plan := planOf(f, kind.Descriptor())
	for _, seed := range []string{
		`{}`, `{"one_INT64":1}`, `{"one_STRING":"\ud83d\ude00","many_INT32":[1,2]}`, `{"facts":{"a":[1,{"b":null}]},"at":"2026-06-01T12:00:00Z"}`,
		`{"one_MESSAGE":{"mapSTRING":{"a":"b"}}}`, `{"one_DOUBLE":-0.5e-3}`, `{"one_BYTES":"QQ=="}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m := dynamicpb.NewMessage(kind.Descriptor())
		if plan.Decode(text, m) != nil {
			return
		}
		oracle := dynamicpb.NewMessage(kind.Descriptor())
		if err := protojson.Unmarshal(text, oracle); err != nil {
			t.Fatalf("accepted %q, which protojson refuses: %v", text, err)
		}
		if !proto.Equal(m, oracle) {
			t.Fatalf("%q: %v, protojson %v", text, m, oracle)
		}
	})
}
