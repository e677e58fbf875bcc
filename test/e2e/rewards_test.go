package e2e_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/uuid"

	partnerv1 "github.com/feddi/feddi/contracts/gen/feddi/partner/v1"
)

var errNoDelivery = errors.New("no delivery is listed")

// twice makes a POST two times with one key: the second answer is the first
// (rule 44).
func (s *shop) twice(path string, body object) *answer {
	s.t.Helper()
	r := request{path: path, as: s.key, body: s.whole(body), key: uuid.NewString()}
	first, second := s.do(r), s.do(r)
	if first.Status != second.Status || second.at("meta.idempotency_replayed") != true {
		s.t.Errorf("%s answered %d and then %d (replayed %v)", path, first.Status, second.Status, second.at("meta.idempotency_replayed"))
	}
	return first
}

// budget makes an envelope and gives its id.
func (s *shop) budget(limit int) string {
	s.t.Helper()
	return s.expect(s.manage("/budgets", object{"name": "Goodwill", "cap_minor": limit}), http.StatusCreated).text("data.budget_id")
}

// rpc is the typed client of a sandbox's key.
func (s *shop) rpc() clients { return protocols[0].clients(&headers{as: s.key}) }

func (s *shop) place() *partnerv1.RequestContext {
	return &partnerv1.RequestContext{MerchantId: s.made.text("data.merchant_id")}
}

func TestUpdateOffer(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := s.made.text("data.seed.offers.0")
	a := s.twice("/offers/"+id+"/update", object{"expected_version": 1, "title": "Better coffee"})
	s.expect(a, http.StatusOK)
	s.is(a, "offer", `{"offer_id":"`+id+`","version":2,"title":"Better coffee","status":"active"}`)
	s.refused(s.manage("/offers/"+id+"/update", object{"expected_version": 1, "title": "Too late"}), http.StatusConflict, "REVISION_CONFLICT")
	s.refused(s.manage("/offers/off_none/update", object{"title": "None"}), http.StatusNotFound, "NOT_FOUND")
	s.refused(s.post("/offers/"+id+"/update", object{"title": "By a till"}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(open(t).manage("/offers/"+id+"/update", object{"title": "Not mine"}), http.StatusNotFound, "NOT_FOUND")
	title := "Best coffee"
	over, err := s.rpc().incentives.UpdateOffer(t.Context(), &partnerv1.UpdateOfferRequest{
		Meta: &partnerv1.RequestMeta{ApiVersion: version}, Context: s.place(), OfferId: id, Title: &title,
	})
	if err != nil || over.GetVersion() != 3 || over.GetTitle() != title {
		t.Errorf("over Connect: %v, %v", over, err)
	}
	s.expect(s.manage("/offers/"+id+"/status", object{"status": "archived"}), http.StatusOK)
	s.refused(s.manage("/offers/"+id+"/update", object{"title": "Gone"}), http.StatusConflict, "STATE_CONFLICT")
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := s.budget(1000)
	g := s.verified("+14155550155")
	issue := object{"customer_id": g.id, "source": "GOODWILL", "amount_minor": 300, "currency": "USD", "budget_id": id, "reason": "Long wait"}
	a := s.expect(s.twice("/grants", issue), http.StatusCreated)
	s.is(a, "grant", `{"grant_id":"$id:grt_","source":"GOODWILL","state":"RELEASED","amount_minor":300,"remaining_minor":300,"budget_id":"`+id+`"}`)
	grant := a.text("data.grant_id")
	a = s.expect(s.manage("/grants/"+grant, nil), http.StatusOK)
	s.is(a, "movements", `{"grant_id":"`+grant+`","movements":[{"type":"issued","amount_minor":300,"remaining_minor":300}]}`)

	s.refused(s.manage("/budgets/"+id+"/adjust", object{"cap_minor": 299}), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	a = s.expect(s.twice("/budgets/"+id+"/adjust", object{"cap_minor": 400, "reason": "Runs well"}), http.StatusOK)
	s.is(a, "budget", `{"budget_id":"`+id+`","cap_minor":400,"spent_minor":300,"available_minor":100,"committed_minor":0}`)
	issue["amount_minor"] = 101
	s.refused(s.manage("/grants", issue), http.StatusUnprocessableEntity, "BUDGET_EXHAUSTED")
	s.refused(s.post("/grants", issue), http.StatusForbidden, "OPERATOR_REQUIRED")
	issue["budget_id"] = "bud_none"
	s.refused(s.manage("/grants", issue), http.StatusNotFound, "NOT_FOUND")
	s.refused(open(t).manage("/grants/"+grant, nil), http.StatusNotFound, "NOT_FOUND")

	a = s.expect(s.manage("/budgets?status=active", nil), http.StatusOK)
	s.is(a, "budgets", `{"budgets":[{"budget_id":"`+id+`","status":"active","cap_minor":400}]}`)
	s.refused(s.manage("/budgets?cursor=bm9uZQ", nil), http.StatusBadRequest, "CURSOR_INVALID")
	s.refused(s.get("/budgets"), http.StatusForbidden, "SCOPE_INSUFFICIENT")

	c := s.rpc().incentives
	list, err := c.ListBudgets(t.Context(), &partnerv1.ListBudgetsRequest{})
	if err != nil || len(list.GetBudgets()) != 1 || list.GetBudgets()[0].GetBudgetId() != id {
		t.Errorf("over Connect: %v, %v", list, err)
	}
	told, err := c.GetGrant(t.Context(), &partnerv1.GetGrantRequest{Id: grant})
	if err != nil || len(told.GetMovements()) != 1 || told.GetAmountMinor() != 300 {
		t.Errorf("over Connect: %v, %v", told, err)
	}
}

func TestSubscriptionsAreManaged(t *testing.T) {
	t.Parallel()
	s := open(t)
	made := s.expect(s.manage("/webhooks/subscriptions", object{"url": "http://127.0.0.1:1/hook", "event_types": []string{"payment.*"}}), http.StatusCreated)
	path := "/webhooks/subscriptions/" + made.text("data.subscription_id")
	a := s.expect(s.twice(path+"/update", object{"status": "paused", "event_types": []string{"*"}}), http.StatusOK)
	s.is(a, "subscription", `{"status":"paused","url":"http://127.0.0.1:1/hook","event_types":["*"]}`)
	s.refused(s.manage(path+"/update", object{"url": "http://10.0.0.1/"}), http.StatusBadRequest, "VALIDATION_FAILED")
	s.refused(open(t).manage(path+"/update", object{"status": "active"}), http.StatusNotFound, "NOT_FOUND")

	a = s.expect(s.twice(path+"/rotate-secret", object{}), http.StatusOK)
	s.is(a, "subscription", `{"secret":"$string","previous_secret_expires_at":"$string"}`)
	if a.text("data.secret") == made.text("data.secret") {
		t.Error("the secret is the same")
	}
	s.refused(s.post(path+"/rotate-secret", object{}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
	s.refused(s.manage("/webhooks/deliveries/whd_none/retry", object{}), http.StatusNotFound, "NOT_FOUND")

	s.session() // an event for the paused subscription
	var delivery string
	eventually(t, func() error {
		delivery = s.manage("/webhooks/deliveries", nil).text("data.deliveries.0.delivery_id")
		if delivery == "" {
			return errNoDelivery
		}
		return nil
	})
	a = s.expect(s.twice("/webhooks/deliveries/"+delivery+"/retry", object{"replay_until": "2100-01-01T00:00:00Z"}), http.StatusAccepted)
	s.is(a, "retry", `{"delivery":{"delivery_id":"`+delivery+`","state":"pending"},"requeued_count":"$any"}`)
}

func TestPoints(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550156")
	path := "/customers/" + g.id + "/points"
	a := s.expect(s.twice(path, object{"type": "earn", "points": 120, "reference_id": "txn_1", "expires_at": "2100-01-01T00:00:00Z"}), http.StatusCreated)
	s.is(a, "movement", `{"movement_id":"$id:pmv_","customer_id":"`+g.id+`","type":"earn","points":120,"balance_points":120,"entry_id":"$id:ent_"}`)
	s.is(s.expect(s.post(path, object{"type": "burn", "points": 20}), http.StatusCreated), "burn", `{"type":"burn","points":-20,"balance_points":100}`)
	s.refused(s.post(path, object{"type": "burn", "points": 101}), http.StatusUnprocessableEntity, "AMOUNT_OUT_OF_RANGE")
	s.refused(s.post(path, object{"type": "adjust", "points": -1}), http.StatusForbidden, "OPERATOR_REQUIRED")
	s.refused(s.post(path, object{"type": "burn", "points": -1}), http.StatusBadRequest, "VALIDATION_FAILED")
	s.refused(s.post("/customers/cus_none/points", object{"type": "earn", "points": 1}), http.StatusNotFound, "NOT_FOUND")
	s.refused(open(t).manage(path, nil), http.StatusNotFound, "NOT_FOUND")
	s.is(s.expect(s.manage(path, object{"type": "adjust", "points": -10, "reason": "Counted twice"}), http.StatusCreated), "adjustment", `{"type":"adjust","points":-10,"balance_points":90}`)
	s.is(s.get(path), "points", `{"customer_id":"`+g.id+`","balance_points":90,"pending_points":0,"lifetime_earned_points":120,
		"lifetime_burned_points":30,"lots":[{"lot_id":"$id:plt_","points":120,"remaining_points":90,"expires_at":"2100-01-01T00:00:00Z"}]}`)
	pending, _ := s.enrol("+14155550157")
	s.expect(s.post("/customers/"+pending.id+"/points", object{"type": "earn", "points": 5}), http.StatusCreated)
	s.refused(s.post("/customers/"+pending.id+"/points", object{"type": "burn", "points": 5}), http.StatusForbidden, "IDENTITY_PROBATIONARY")
	over, err := s.rpc().incentives.GetPoints(t.Context(), &partnerv1.GetPointsRequest{CustomerId: g.id})
	if err != nil || over.GetBalancePoints() != 90 || len(over.GetLots()) != 1 {
		t.Errorf("over Connect: %v, %v", over, err)
	}
}
