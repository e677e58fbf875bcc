package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/document"
	"github.com/feddi/feddi/test/e2e/internal/spoil"
)

// callable are the operations that the capabilities say a key or a terminal of
// a sandbox may call, of one method, as the document describes them.
func callable(t *testing.T, method string) (out []document.Operation) {
	t.Helper()
	s := open(t)
	may := map[string]bool{}
	for _, a := range []*answer{s.manage("/capabilities", nil), s.get("/capabilities")} {
		listed, _ := a.at("data.operations").([]any)
		for _, o := range listed {
			row, _ := o.(object)
			id, _ := row["operation_id"].(string)
			may[id] = may[id] || row["callable"] == true
		}
	}
	for _, op := range system.spec.Operations() {
		// One that takes the provider's own body, and signature, has tests of its own.
		if may[op.ID] && op.Method == method && (op.Method == http.MethodGet || op.Example != nil) {
			out = append(out, op)
		}
	}
	if len(out) < 20 {
		t.Fatalf("%d operations with %s: the capabilities cannot be right", len(out), method)
	}
	return out
}

// bad is one wrong call with the refusal it must get.
type bad struct {
	what   string
	call   request
	status int
	code   string
	field  string // empty where no field is at fault
}

// check makes the call and compares.
func (b bad) check(t *testing.T) {
	t.Helper()
	a := send(t, b.call)
	if a.Status != b.status || a.code() != b.code {
		t.Errorf("%s: %d %s, want %d %s: %s", b.what, a.Status, a.code(), b.status, b.code, clip(a.Raw))
		return
	}
	if b.field != "" && !slices.ContainsFunc(a.fields(), func(f string) bool { return strings.HasPrefix(f, b.field+" ") }) {
		t.Errorf("%s: the refusal names %q, not %s: %s", b.what, a.fields(), b.field, clip(a.Raw))
	}
	if data := a.at("data"); data != nil {
		t.Errorf("%s: a refusal with data: %s", b.what, clip(a.Raw))
	}
}

// Every wrong call of every callable operation is refused with the right code
// and the field at fault, and changes nothing; the same call put right
// succeeds, so that nothing else was wrong with it.
func TestBadInput(t *testing.T) {
	t.Parallel()
	foreign := stocked(t)
	for _, op := range callable(t, http.MethodPost) {
		path := foreign.path(op) // the foreign shop is stocked here, and only read below
		if op.Example["funding"] != nil {
			foreign.id("budget")
		}
		t.Run(op.ID, func(t *testing.T) {
			t.Parallel()
			s := stocked(t)
			good := s.good(op)
			s.ended()
			before := s.state(s.guest, s.ids["session"], s.held)
			for _, table := range [][]bad{
				texts(good), bodies(t, op, good), headersOf(op, good), credentials(s, op, good), tenants(s, foreign, op, good, path), currencies(good),
			} {
				for _, b := range table {
					b.check(t)
				}
			}
			if after := s.state(s.guest, s.ids["session"], s.held); after != before {
				t.Errorf("refused calls changed something:\n%s\nbefore, and after\n%s", before, after)
			}
			if a := send(t, good); a.Status >= 300 {
				t.Errorf("the call put right: %d %s", a.Status, a.Raw)
			}
		})
	}
}

func bodyOf(r request) object {
	body, _ := r.body.(object)
	return body
}

// with is r with another body.
func (r request) with(body any) request {
	r.body = body
	return r
}

// texts are bodies that are no JSON object, or too much of one.
func texts(good request) (out []bad) {
	whole, _ := marshal(good.body)
	inside := bytes.TrimSuffix(whole, []byte("}"))
	for what, raw := range map[string][]byte{
		"an opening brace": []byte("{"), "half of it": whole[:len(whole)/2], "an array": []byte("[]"), "null": []byte("null"), "a string": []byte(`"x"`),
		"nothing": {}, "blanks": []byte("  \n"), "text behind it": slices.Concat(whole, []byte("x")), "twice": slices.Concat(whole, whole),
		"a trailing comma": slices.Concat(inside, []byte(",}")), "a comment": slices.Concat([]byte("/* x */"), whole), "single quotes": []byte(`{'meta':1}`),
		"a number that is none": slices.Concat(inside, []byte(`,"colour":NaN}`)), "a leading zero": slices.Concat(inside, []byte(`,"colour":01}`)),
		"a lone surrogate": slices.Concat(inside, []byte(`,"colour":"\ud800"}`)), "a control character": slices.Concat(inside, []byte(",\"colour\":\"\x01\"}")),
		"bad UTF-8 in a value": slices.Concat(inside, []byte(",\"colour\":\"\xff\"}")), "bad UTF-8 in a name": slices.Concat(inside, []byte(",\"\xc3\":1}")),
		"a byte order mark": slices.Concat([]byte("\xef\xbb\xbf"), whole),
		"nesting too deep":  slices.Concat(inside, []byte(`,"colour":`), bytes.Repeat([]byte("["), 10000), bytes.Repeat([]byte("]"), 10000), []byte("}")),
		"objects too deep":  slices.Concat(inside, []byte(`,"colour":`), bytes.Repeat([]byte(`{"a":`), 5000), []byte("1"), bytes.Repeat([]byte("}"), 5000), []byte("}")),
	} {
		out = append(out, bad{what, good.with(raw), http.StatusBadRequest, "VALIDATION_FAILED", ""})
	}
	large := slices.Concat(inside, []byte(`,"colour":"`), bytes.Repeat([]byte("x"), 1<<20), []byte(`"}`))
	return append(out, bad{"more than 1 MiB", good.with(large), http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", ""})
}

// bodies are the good body with one member wrong.
func bodies(t *testing.T, op document.Operation, good request) (out []bad) {
	t.Helper()
	raw, err := marshal(good.body)
	if err != nil {
		t.Fatal(err)
	}
	var plainBody object // of decoded values only
	if err := json.Unmarshal(raw, &plainBody); err != nil {
		t.Fatal(err)
	}
	spoilt, err := spoil.Bodies(system.spec.Resolve, op.Request, plainBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range spoilt {
		code := "VALIDATION_FAILED"
		if b.What == "too long at meta.api_version" { // any text is a version, if not one that is spoken
			code = "UNSUPPORTED_API_VERSION"
		}
		out = append(out, bad{b.What, good.with(b.Raw), http.StatusBadRequest, code, b.Field})
	}
	meta := func(m object) request {
		body := object{}
		for name, value := range plainBody {
			body[name] = value
		}
		body["meta"] = m
		return good.with(body)
	}
	return append(out,
		bad{"another version", meta(object{"api_version": "2020-01-01"}), http.StatusBadRequest, "UNSUPPORTED_API_VERSION", "meta.api_version"},
		bad{"no version", meta(object{}), http.StatusBadRequest, "VALIDATION_FAILED", "meta.api_version"},
		bad{"the key in the body", meta(object{"api_version": version, "idempotency_key": "x"}), http.StatusBadRequest, "VALIDATION_FAILED", "meta.idempotency_key"},
		bad{"an empty key in the body", meta(object{"api_version": version, "idempotency_key": ""}), http.StatusBadRequest, "VALIDATION_FAILED", "meta.idempotency_key"},
	)
}

// headersOf are wrong headers, methods and queries.
func headersOf(op document.Operation, good request) []bad {
	header := func(name, value string) request {
		r := good
		r.header = map[string]string{name: value}
		return r
	}
	query := good
	query.path += "?colour=red"
	slash := good
	slash.path += "/"
	out := []bad{
		{"no Idempotency-Key", header("Idempotency-Key", ""), http.StatusBadRequest, "IDEMPOTENCY_KEY_MISSING", "Idempotency-Key"},
		{"an Idempotency-Key that is no UUID", header("Idempotency-Key", "abc"), http.StatusBadRequest, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key"},
		{"an Idempotency-Key in braces", header("Idempotency-Key", "{7f6f2e7c-3c1b-4f6e-9a44-0d5a1c0b8f11}"), http.StatusBadRequest, "IDEMPOTENCY_KEY_INVALID", "Idempotency-Key"},
		{"text/plain", header("Content-Type", "text/plain"), http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
		{"no Content-Type", header("Content-Type", ""), http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
		{"a form", header("Content-Type", "application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
		{"another charset", header("Content-Type", "application/json; charset=latin1"), http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
		{"compressed", header("Content-Encoding", "gzip"), http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding"},
		{"a query", query, http.StatusBadRequest, "VALIDATION_FAILED", "colour"},
		{"a slash behind the path", slash, http.StatusNotFound, "NOT_FOUND", "route"},
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		r := good
		r.method = method
		out = append(out, bad{method, r, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", ""})
	}
	return out
}

// credentials are calls by nobody, by strangers and by the wrong kind.
func credentials(s *stock, op document.Operation, good request) (out []bad) {
	if len(op.Credentials) == 0 {
		return nil
	}
	by := func(c credential) request {
		r := good
		r.as = c
		return r
	}
	out = []bad{
		{"nobody", by(nobody), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"a key that nobody was given", by(credential{"X-Api-Key", "fddi_test_" + strings.Repeat("x", 44)}), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"a key that is none", by(credential{"X-Api-Key", "password"}), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"a token that is none", by(credential{"Authorization", "Bearer x.y.z"}), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"a token without signature", by(credential{"Authorization", unsigned(s.till.value)}), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"a token with another's claims", by(credential{"Authorization", tampered(s.till.value)}), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"a key of the other mode", by(credential{"X-Api-Key", "fddi_live_" + strings.Repeat("x", 44)}), http.StatusUnauthorized, "UNAUTHENTICATED", ""},
		{"another scheme", by(credential{"Authorization", "Basic eDp5"}), http.StatusUnauthorized, "UNAUTHENTICATED", "Authorization"},
	}
	ended := s.ended()
	takes := func(name string) bool { return slices.Contains(op.Credentials, name) }
	if !takes("ApiKeyAuth") {
		out = append(out, bad{"a key", by(s.key), http.StatusForbidden, "SCOPE_INSUFFICIENT", ""})
	} else {
		out = append(out, bad{"a revoked key", by(ended.key), http.StatusUnauthorized, "API_KEY_REVOKED", ""})
	}
	if op.Operator {
		out = append(out, bad{"a key without authority", by(ended.plain), http.StatusForbidden, "OPERATOR_REQUIRED", ""})
	}
	if takes("PosTerminalJWT") {
		out = append(out,
			bad{"a token of a revoked key", by(ended.till), http.StatusUnauthorized, "TOKEN_REVOKED", ""},
			bad{"a token past its time", by(ended.old), http.StatusUnauthorized, "TOKEN_EXPIRED", ""})
	}
	if !takes("PosTerminalJWT") {
		code := "SCOPE_INSUFFICIENT"
		if op.Operator {
			code = "OPERATOR_REQUIRED"
		}
		out = append(out, bad{"a token", by(s.till), http.StatusForbidden, code, ""})
	}
	return out
}

// unsigned and tampered are a token after an attack on it.
func unsigned(bearer string) string {
	parts := strings.Split(bearer, ".")
	return "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
}

func tampered(bearer string) string {
	parts := strings.Split(bearer, ".")
	return parts[0] + "." + strings.ToUpper(parts[1][:8]) + parts[1][8:] + "." + parts[2]
}

// tenants are calls that reach for what belongs to another sandbox.
func tenants(s, foreign *stock, op document.Operation, good request, path string) (out []bad) {
	body := bodyOf(good)
	replaced := func(name string, value any) request {
		changed := object{}
		for n, v := range body {
			changed[n] = v
		}
		changed[name] = value
		return good.with(changed)
	}
	where := func(name, value string) request {
		changed := object{}
		for n, v := range s.where {
			changed[n] = v
		}
		changed[name] = value
		return replaced("context", changed)
	}
	if body["context"] != nil {
		for what, id := range map[string]string{"another's": foreign.ids["merchant"], "no": "mer_nothing"} {
			out = append(out, bad{what + " merchant", where("merchant_id", id), http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED", "context.merchant_id"})
		}
		out = append(out, s.places(foreign, good, replaced)...)
	}
	for _, of := range []string{"customer", "session", "enrollment", "topup", "terminal", "branch"} {
		if name := of + "_id"; body[name] != nil {
			out = append(out,
				bad{"another's " + name, replaced(name, foreign.ids[of]), http.StatusNotFound, "NOT_FOUND", of},
				bad{"no " + name, replaced(name, "zzz_nothing"), http.StatusNotFound, "NOT_FOUND", of})
		}
	}
	if body["funding"] != nil {
		out = append(out, bad{"another's budget", replaced("funding", object{"budget_id": foreign.ids["budget"]}), http.StatusNotFound, "NOT_FOUND", "budget"})
	}
	if body["credential"] != nil && strings.HasPrefix(op.ID, "payment") || op.ID == "redeemBalanceCheck" { // elsewhere the unknown is no error
		out = append(out, bad{"another's code", replaced("credential", foreign.qr), http.StatusNotFound, "NOT_FOUND", "credential"})
	}
	if strings.Contains(op.Path, "{") {
		for _, path := range []string{path, strings.NewReplacer("{", "zzz_", "}", "").Replace(op.Path)} {
			r := good
			r.path = path
			if r.path != good.path { // a SKU has the same name everywhere
				out = append(out, bad{"path " + r.path, r, http.StatusNotFound, "NOT_FOUND", ""})
			}
		}
	}
	return out
}

// places are another's branch and terminal in the context. A token is bound to
// its own place and says so; a key of the whole merchant finds none.
func (s *stock) places(foreign *stock, good request, replaced func(name string, value any) request) (out []bad) {
	for _, place := range []string{"branch", "terminal"} {
		call := replaced("context", object{"merchant_id": s.ids["merchant"], place + "_id": foreign.ids[place]})
		b := bad{"another's " + place, call, http.StatusForbidden, "SCOPE_INSUFFICIENT", "context." + place + "_id"}
		if good.as == s.key {
			b.status, b.code, b.field = http.StatusNotFound, "NOT_FOUND", place
			if place == "branch" { // of a key that is bound to another one
				narrow := b
				narrow.call.as = s.ended().narrow
				narrow.status, narrow.code, narrow.field = http.StatusForbidden, "SCOPE_INSUFFICIENT", ""
				out = append(out, narrow)
			}
		}
		out = append(out, b)
	}
	return out
}

// currencies are those that are none, that are not enabled, and that are not
// the wallet's.
func currencies(good request) (out []bad) {
	body := bodyOf(good)
	if body["currency"] == nil {
		return nil
	}
	for currency, code := range map[string]string{"usd": "VALIDATION_FAILED", "US": "VALIDATION_FAILED", "ZZZ": "UNSUPPORTED_CURRENCY"} {
		changed := object{}
		for n, v := range body {
			changed[n] = v
		}
		changed["currency"] = currency
		field := "currency"
		if code == "UNSUPPORTED_CURRENCY" && body["budget_id"] != nil { // which is in one currency already
			code, field = "CURRENCY_MISMATCH", "budget_id"
		}
		out = append(out, bad{"currency " + currency, good.with(changed), http.StatusBadRequest, code, field})
	}
	return out
}

// Reads are refused as strictly as writes.
func TestBadReads(t *testing.T) {
	t.Parallel()
	s, foreign := stocked(t), stocked(t)
	s.ended()
	for _, op := range callable(t, http.MethodGet) {
		good := request{method: http.MethodGet, path: s.path(op), as: s.caller(op)}
		path := foreign.path(op)
		t.Run(op.ID, func(t *testing.T) {
			t.Parallel()
			if op.ID == "lookupCustomer" {
				good.path += "?phone=%2B14155550123"
			}
			if a := send(t, good); a.Status != http.StatusOK {
				t.Fatalf("the good call: %d %s", a.Status, a.Raw)
			}
			if op.ID == "getOpenApiSpec" || op.ID == "getHealth" {
				return // they take nothing, and answer whatever comes with it
			}
			for _, table := range [][]bad{queries(op, foreign, good), credentials(s, op, good), strangers(op, good, path)} {
				for _, b := range table {
					b.check(t)
				}
			}
		})
	}
}

// asking is a read with more in its query.
func asking(good request, query string) request {
	sep := "?"
	if strings.Contains(good.path, "?") {
		sep = "&"
	}
	good.path += sep + query
	return good
}

// queries are wrong queries and a wrong version.
func queries(op document.Operation, foreign *stock, good request) (out []bad) {
	refuse := func(query, field string) {
		out = append(out, bad{query, asking(good, query), http.StatusBadRequest, "VALIDATION_FAILED", field})
	}
	refuse("colour=red", "colour")
	refuse("Limit=1", "Limit")
	refuse("limit%", "")
	refuse("colour=%ff", "")
	for _, name := range op.Query {
		switch name {
		case "limit":
			for _, n := range []string{"0", "-1", "201", "5.0", "5e0", "05", "+5", "x", "", "99999999999999999999"} {
				refuse("limit="+n, "limit")
			}
			refuse("limit=5&limit=6", "limit")
		case "cursor":
			for _, c := range []string{"x", "%00"} {
				out = append(out, bad{"cursor " + c, asking(good, "cursor="+c), http.StatusBadRequest, "CURSOR_INVALID", ""})
			}
		case "after":
			out = append(out, bad{"cursor", asking(good, "after=x"), http.StatusBadRequest, "CURSOR_INVALID", ""})
		case "merchant_id":
			if op.ID != "lookupCustomer" { // where it is ignored (rule 12)
				out = append(out, bad{"another's merchant", asking(good, "merchant_id="+foreign.ids["merchant"]), http.StatusForbidden, "MERCHANT_NOT_AUTHORIZED", "merchant_id"})
			}
		case "created_after", "created_before", "active_from", "active_to":
			refuse(name+"=yesterday", name)
		case "include_unidentified", "active":
			refuse(name+"=1", name)
		case "revision":
			refuse(name+"=x", name)
		}
	}
	old := good
	old.header = map[string]string{"Feddi-Api-Version": "2020-01-01"}
	put := good
	put.method = http.MethodPut
	return append(out,
		bad{"another version", old, http.StatusBadRequest, "UNSUPPORTED_API_VERSION", "Feddi-Api-Version"},
		bad{"PUT", put, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", ""})
}

// strangers ask for what belongs to another sandbox: it is not there for them.
func strangers(op document.Operation, good request, path string) (out []bad) {
	if !strings.Contains(op.Path, "{") {
		return nil
	}
	for _, path := range []string{path, strings.NewReplacer("{", "zzz_", "}", "").Replace(op.Path)} {
		r := good
		r.path = path
		out = append(out, bad{"path " + path, r, http.StatusNotFound, "NOT_FOUND", ""})
	}
	return out
}

// Whatever is not mounted says so, in the envelope.
func TestNotMounted(t *testing.T) {
	t.Parallel()
	s := open(t)
	full, err := os.ReadFile("../../contracts/openapi/feddi.partner.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree object
	if err := json.Unmarshal(full, &tree); err != nil {
		t.Fatal(err)
	}
	mounted := map[string]bool{}
	for _, op := range system.spec.Operations() {
		mounted[op.ID] = true
	}
	planned := 0
	for _, op := range (&document.Document{Tree: tree}).Operations() {
		if mounted[op.ID] {
			continue
		}
		planned++
		path := strings.NewReplacer("{", "zzz_", "}", "").Replace(op.Path)
		bad{op.ID, request{method: op.Method, path: path, as: s.key, body: object{}}, http.StatusNotImplemented, "NOT_IMPLEMENTED", ""}.check(t)
	}
	if all := len(mounted) + planned; all < 120 {
		t.Errorf("%d operations in all", all)
	}
	for _, path := range []string{"/nothing", "/payments/a/b/c", "/", "", "//payments", "/Payments", "/payments%2F", "/%ff", "/../health", "/checkout/sessions/a/offers/b"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			bad{method + " " + path, request{method: method, path: path, as: s.till, body: object{}}, http.StatusNotFound, "NOT_FOUND", "route"}.check(t)
		}
	}
}
