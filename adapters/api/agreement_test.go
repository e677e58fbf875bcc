package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"pgregory.net/rapid"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/api/strictjson"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

// Whatever is sent, both doors give the same result: the same response, or the
// same code and the same details.
func TestRESTAndConnectAgree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ids := rapid.SampledFrom([]string{"", "cus_1", strings.Repeat("x", 65), "ü\n\""})
	merchants := rapid.SampledFrom([]string{"", merchant, other, "mer_z", strings.Repeat("m", 65)})
	plan, err := strictjson.NewPlans().Of((&partnerv1.PrepareTopupRequest{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := strictjson.NewPlans().Of((&partnerv1.PrepareTopupResponse{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		req := &partnerv1.PrepareTopupRequest{AmountMinor: rapid.SampledFrom([]int64{-1, 0, 1, 2500, 1e12, 1e12 + 1}).Draw(rt, "amount")}
		req.Currency = rapid.SampledFrom([]string{"USD", "usd", ""}).Draw(rt, "currency")
		if rapid.Bool().Draw(rt, "meta") {
			req.Meta = &partnerv1.RequestMeta{ApiVersion: rapid.SampledFrom([]string{version, version, "", "2020-01-01"}).Draw(rt, "version")}
		}
		if rapid.Bool().Draw(rt, "context") {
			req.Context = &partnerv1.RequestContext{MerchantId: merchants.Draw(rt, "merchant")}
			if rapid.Bool().Draw(rt, "terminal") {
				req.Context.TerminalId = proto.String(rapid.SampledFrom([]string{"trm_1", "trm_2", "", "trm_9"}).Draw(rt, "which"))
			}
		}
		if rapid.Bool().Draw(rt, "customer") {
			req.CustomerId = proto.String(ids.Draw(rt, "customer id"))
		}
		credential := rapid.SampledFrom([]string{"token-a", "key-a", "key-2", "key-branch", "nope"}).Draw(rt, "credential")
		header := map[string]string{"Authorization": "", "X-Api-Key": credential}
		if strings.HasPrefix(credential, "token") {
			header = map[string]string{"Authorization": "Bearer " + credential}
		}
		body, err := plan.Append(nil, req, "")
		if err != nil {
			rt.Fatal(err)
		}
		rest := b.do(call{path: "/v1/partner/topup/prepare", header: header, body: string(body)})
		res, rpcErr := b.topups("connect proto", sender{key: uuid.NewString(), more: header}).PrepareTopup(t.Context(), req)
		if rpcErr == nil {
			data, err := answer.Append(nil, res, "meta")
			if err != nil || rest.status != http.StatusCreated || !bytes.Contains(rest.body, data) {
				rt.Fatalf("REST %s\nConnect %v", rest.body, res)
			}
			return
		}
		published := typed(t, rpcErr)
		if rest.code() != published.GetCode() || rest.fault["message"] != published.GetMessage() || details(rest) != detailsOf(published) {
			rt.Fatalf("REST %s\nConnect %v", rest.body, published)
		}
	})
}

// details and detailsOf write the details of an error alike.
func details(r reply) string {
	out := ""
	list, _ := r.fault["details"].([]any)
	for _, d := range list {
		m := d.(map[string]any)
		out += fmt.Sprintf("%s %s %s\n", m["field"], m["rule"], m["message"])
	}
	return out
}

func detailsOf(e *partnerv1.Error) string {
	out := ""
	for _, d := range e.GetDetails() {
		out += fmt.Sprintf("%s %s %s\n", d.GetField(), d.GetRule(), d.GetMessage())
	}
	return out
}

// tree is JSON text with its numbers kept exact.
func tree(t *testing.T, text string) any {
	t.Helper()
	var out any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every example of the contract is what the server itself would take and give:
// requests decode and break no rule, answers name every member.
func TestExamplesAreTheServersOwn(t *testing.T) {
	t.Parallel()
	c, err := api.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	plans := strictjson.NewPlans()
	for _, o := range c.All {
		if text := o.Options.GetExampleRequest(); text != "" {
			plan, err := plans.Of(o.Input)
			if err != nil {
				t.Fatal(err)
			}
			var inPath []string
			m := newMessage(t, o.Input)
			for _, s := range o.Segments {
				if s.Field != nil {
					inPath = append(inPath, string(s.Field.Name()))
					m.Set(s.Field, protoreflect.ValueOfString("id"))
				}
			}
			decode := plan.Without(inPath...).Decode
			if o.Body != nil { // taken as it comes
				decode = func(body []byte, m protoreflect.Message) error {
					m.Set(o.Body, protoreflect.ValueOfBytes(body))
					return nil
				}
			}
			if err := decode([]byte(text), m); err != nil {
				t.Errorf("%s: its example request: %v", o.ID, err)
			} else if err := protovalidate.Validate(m.Interface()); err != nil {
				t.Errorf("%s: its example request: %v", o.ID, err)
			}
		}
		if text := o.Options.GetExampleResponse(); text != "" {
			plan, err := plans.Of(o.Output)
			if err != nil {
				t.Fatal(err)
			}
			m := newMessage(t, o.Output)
			if err := plan.Without("meta").Decode([]byte(text), m); err != nil {
				t.Errorf("%s: its example response: %v", o.ID, err)
			} else if again, err := plan.Append(nil, m.Interface(), "meta"); err != nil {
				t.Errorf("%s: %v", o.ID, err)
			} else if diff := cmp.Diff(tree(t, text), tree(t, string(again))); diff != "" {
				t.Errorf("%s: the server would not write its example response (-) but (+)\n%s", o.ID, diff)
			}
		}
	}
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) protoreflect.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New()
}

// The callable operations that nobody registers are named.
func TestMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	missing := b.api.Pipeline.Registry.Missing()
	for _, id := range missing {
		if id == "prepareTopup" || id == "refundCreate" || id == "getOpenApiSpec" {
			t.Errorf("%s is not missing", id)
		}
	}
	if len(missing) == 0 {
		t.Error("confirmTopup is missing here")
	}
	res, err := b.server.Client().Post(b.server.URL+partnerv1connect.TopupServiceConfirmTopupProcedure, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); !strings.Contains(string(text), "NOT_IMPLEMENTED") && !strings.Contains(string(text), "unimplemented") {
		t.Errorf("%s", text)
	}
}
