package identity_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/feddi/feddi/adapters/api"
	"github.com/feddi/feddi/adapters/postgres/pg"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
	"github.com/feddi/feddi/contracts/gen/feddi/partner/v1/partnerv1connect"
)

func (d *door) postAs(as, path string, fields object) answer {
	d.t.Helper()
	return d.send(http.MethodPost, path, as, uuid.NewString(), d.body(fields))
}

func (d *door) get(as, path string) answer {
	d.t.Helper()
	return d.send(http.MethodGet, path, as, "", nil)
}

func TestACustomersLifeOverREST(t *testing.T) {
	t.Parallel()
	d := serve(t, setup(t))
	initiated := d.post("/enroll/initiate", object{"phone": guest, "name": "Ada"}).want(201, "")
	id, enrolment := initiated.at("customer_id").(string), initiated.at("enrollment_id").(string)
	if a := d.get("till", "/enroll/"+enrolment).want(200, ""); a.at("state") != "PENDING_PROOF" || a.at("attempts_left") != 5.0 || a.at("verified_at") != nil {
		t.Errorf("enrolment %s", a.Body)
	}
	d.b.issue(t, id, 42)
	claim := d.postAs("key", "/claims", object{"customer_id": id}).want(201, "")
	if a := d.get("key", "/claims/"+claim.at("claim_id").(string)).want(200, ""); a.at("state") != "completed" || len(a.at("locked_grants").([]any)) != 1 {
		t.Errorf("claim %s", a.Body)
	}
	d.post("/enroll/verify", object{"enrollment_id": enrolment, "code": initiated.at("sandbox.code")}).want(200, "")
	path := "/customers/" + id

	d.postAs("till", "/enroll/identity", object{"customer_id": id, "email": "ada@example.com"}).want(403, "CONSENT_REQUIRED")
	for _, purpose := range []string{"terms", "profiling"} {
		d.post("/enroll/consent", object{"customer_id": id, "purpose": purpose, "state": "granted", "version": "2026-05", "evidence": object{"screen": "display"}}).want(201, "")
	}
	d.post("/enroll/consent", object{"customer_id": id, "purpose": "receipts", "channel": "email", "state": "granted", "version": "2026-05"}).want(201, "")
	if a := d.get("key", path+"/consents?purpose=receipts").want(200, ""); len(a.at("consents").([]any)) != 1 {
		t.Errorf("consents %s", a.Body)
	}
	told := d.postAs("till", "/enroll/identity", object{"customer_id": id, "email": "ada@example.com", "birth_date": "1990-12-10"}).want(200, "")
	if told.at("email") != nil || told.at("phone") != nil || told.at("birth_date") != nil || told.at("name") != "Ada" {
		t.Errorf("a till was answered %s", told.Body)
	}
	whole := d.get("key", path).want(200, "")
	if whole.at("email") != "ada@example.com" || whole.at("birth_date") != "1990-12-10" || whole.at("phone") != guest || whole.at("state") != "VERIFIED" {
		t.Errorf("a key was answered %s", whole.Body)
	}

	linked := d.post(path+"/credentials", object{"credential": object{"credential_type": "card_fingerprint", "value": "fp_5f2b9c"}}).want(201, "")
	credential := linked.at("credential_id").(string)
	if a := d.get("key", path+"/credentials?limit=1").want(200, ""); len(a.at("credentials").([]any)) != 1 || a.Meta["next_cursor"] == nil {
		t.Errorf("credentials %s", a.Body)
	}
	d.postAs("key", path+"/credentials/"+credential+"/unlink", object{"reason": "Card replaced"}).want(200, "")
	d.postAs("key", path+"/credentials/"+credential+"/unlink", object{}).want(409, "STATE_CONFLICT")

	changed := d.post(path+"/preferences", object{
		"channels": []object{{"channel": "email", "enabled": true}}, "receipt_channel": "email", "expected_version": 1,
		"offer_opt_outs": object{"all": false, "kinds": []string{"upsell"}, "categories": []string{"bakery"}},
	}).want(200, "")
	if a := d.get("till", path+"/preferences").want(200, ""); a.at("version") != 2.0 || changed.at("version") != 2.0 || a.at("receipt_channel") != "email" {
		t.Errorf("preferences %s", a.Body)
	}
	d.post(path+"/preferences", object{"expected_version": 1, "receipt_channel": "none"}).want(409, "REVISION_CONFLICT")
	d.post(path+"/preferences", object{"receipt_channel": "sms"}).want(403, "CONSENT_REQUIRED")

	d.post(path+"/events", object{"type": "app.opened", "attributes": object{"platform": "ios"}}).want(201, "")
	if a := d.get("key", path+"/events?type=app.opened").want(200, ""); len(a.at("events").([]any)) != 1 {
		t.Errorf("events %s", a.Body)
	}
	if a := d.get("till", path+"/activity").want(200, ""); len(a.at("activity").([]any)) != 5 || !strings.Contains(a.Body, "Agreed to terms") {
		t.Errorf("activity %s", a.Body) // three consents, a grant, the enrolment
	}
	d.get("till", path+"/activity?cursor=bogus").want(400, "CURSOR_INVALID")

	d.postAs("key", path+"/status", object{"status": "disabled", "reason": "Reported as stolen"}).want(403, "OPERATOR_REQUIRED")
	d.postAs("operator", path+"/status", object{"status": "disabled", "reason": "Reported as stolen"}).want(200, "")
	d.get("key", path).want(404, "NOT_FOUND")
}

func TestWhatACustomerToldIsNotStoredInTheClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := serve(t, b)
	c := b.verified(t, guest)
	d.post("/enroll/consent", object{"customer_id": c.ID, "purpose": "terms", "state": "granted", "version": "1"}).want(201, "")
	key, body := uuid.NewString(), d.body(object{"customer_id": c.ID, "name": "Ada Lovelace", "email": "ada@example.com"})
	first := d.send(http.MethodPost, "/enroll/identity", "key", key, body).want(200, "")
	again := d.send(http.MethodPost, "/enroll/identity", "key", key, body).want(200, "")
	if again.Meta["idempotency_replayed"] != true || again.at("email") != first.at("email") {
		t.Errorf("replayed %s", again.Body)
	}
	n, err := pg.One[int](t.Context(), b.db.Q(), `SELECT count(*) FROM idempotency WHERE operation = 'submitIdentity' AND body IS NOT NULL`)
	must(t, err)
	clear, err := pg.One[int](t.Context(), b.db.Q(), `SELECT (SELECT count(*) FROM idempotency WHERE encode(body, 'escape') ~ 'Lovelace|ada@example')
		+ (SELECT count(*) FROM events WHERE data::text ~ 'Lovelace|ada@example')`)
	must(t, err)
	if n != 1 || clear != 0 {
		t.Errorf("%d answers stored, %d rows hold what the customer told", n, clear)
	}
}

func TestTillsDoNotReachWhatIsForKeys(t *testing.T) {
	t.Parallel()
	d := serve(t, setup(t))
	c := d.b.verified(t, guest)
	for _, path := range []string{"", "/credentials", "/consents", "/events"} {
		d.get("till", "/customers/"+c.ID+path).want(403, "SCOPE_INSUFFICIENT")
	}
	d.post("/customers/"+c.ID+"/credentials/crd_1/unlink", object{}).want(403, "SCOPE_INSUFFICIENT")
	d.post("/customers/"+c.ID+"/status", object{"status": "disabled", "reason": "x"}).want(403, "OPERATOR_REQUIRED")
}

// withKey puts a key on Connect calls.
type withKey struct{ idempotency string }

func (w withKey) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("X-Api-Key", "key")
		req.Header().Set("Idempotency-Key", w.idempotency)
		return next(ctx, req)
	}
}

func (withKey) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (withKey) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func TestBothDoorsAnswerForACustomerAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := serve(t, b)
	c := b.verified(t, guest)
	key := uuid.NewString()
	base := strings.TrimSuffix(d.url, api.Base)
	options := connect.WithInterceptors(withKey{key})
	rpc, enrol := partnerv1connect.NewCustomersServiceClient(http.DefaultClient, base, options), partnerv1connect.NewEnrollmentServiceClient(http.DefaultClient, base, options)
	ctx, where, meta := t.Context(), &partnerv1.RequestContext{MerchantId: b.tenant.MerchantID}, &partnerv1.RequestMeta{ApiVersion: "2026-06-01"}
	got, err := rpc.GetCustomer(ctx, &partnerv1.GetCustomerRequest{CustomerId: c.ID})
	must(t, err)
	if rest := d.get("key", "/customers/"+c.ID).want(200, ""); got.GetPhone() != rest.at("phone") || got.GetCustomerId() != rest.at("customer_id") {
		t.Errorf("REST %s, Connect %v", rest.Body, got)
	}
	consent, err := enrol.RecordConsent(ctx, &partnerv1.RecordConsentRequest{Meta: meta, Context: where, CustomerId: c.ID, Purpose: "terms", State: "granted", Version: "1"})
	must(t, err)
	replayed := d.send(http.MethodPost, "/enroll/consent", "key", key, d.body(object{"customer_id": c.ID, "purpose": "terms", "state": "granted", "version": "1"})).want(201, "")
	if replayed.at("consent_id") != consent.GetConsentId() || replayed.Meta["idempotency_replayed"] != true {
		t.Errorf("the other door gave %s", replayed.Body)
	}
	link, err := rpc.LinkCustomerCredential(ctx, &partnerv1.LinkCustomerCredentialRequest{
		Meta: meta, Context: where, CustomerId: c.ID, Credential: &partnerv1.Credential{CredentialType: "provider_customer_id", Value: "pos-7"},
	})
	must(t, err)
	listed, err := rpc.ListCustomerCredentials(ctx, &partnerv1.ListCustomerCredentialsRequest{CustomerId: c.ID})
	must(t, err)
	if len(listed.GetCredentials()) != 2 || link.GetState() != "active" {
		t.Errorf("linked %v, listed %v", link, listed)
	}
	_, err = rpc.UnlinkCustomerCredential(ctx, &partnerv1.UnlinkCustomerCredentialRequest{Meta: meta, Context: where, CustomerId: c.ID, CredentialId: link.GetCredentialId()})
	must(t, err)
	_, err = rpc.UpdateCustomerPreferences(ctx, &partnerv1.UpdateCustomerPreferencesRequest{Meta: meta, Context: where, CustomerId: c.ID, OfferOptOuts: &partnerv1.OfferOptOuts{All: true}})
	must(t, err)
	preferences, err := rpc.GetCustomerPreferences(ctx, &partnerv1.GetCustomerPreferencesRequest{CustomerId: c.ID})
	must(t, err)
	if !preferences.GetOfferOptOuts().GetAll() {
		t.Errorf("preferences %v", preferences)
	}
	_, err = rpc.LogCustomerEvent(ctx, &partnerv1.LogCustomerEventRequest{Meta: meta, Context: where, CustomerId: c.ID, Type: "app.opened"})
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("without consent: %v", err)
	}
	_, err = rpc.SetCustomerStatus(ctx, &partnerv1.SetCustomerStatusRequest{Meta: meta, Context: where, CustomerId: c.ID, Status: "disabled", Reason: "x"})
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("without operator authority: %v", err)
	}
}
