package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
)

// bakery is the body of a merchant to provision.
func bakery(reference string, more object) object {
	body := object{"name": "Bakery", "country": "US", "currency": "USD", "timezone": "America/New_York", "reference": reference,
		"brands": []object{{"name": "Bakery", "branches": []object{{"name": "Main"}}}}}
	for name, value := range more {
		body[name] = value
	}
	return body
}

// In a sandbox its operator provisions merchants, as many as a sandbox takes.
func TestErrorsOfProvisioning(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	plain := s.byKey("/merchants", bakery("plain", nil))
	plain.as = s.ended().plain
	s.refuses(s.guest, nil,
		refusal{plain, 403, "OPERATOR_REQUIRED", "", "", "an enterprise-scoped one with operator authority"},
		refusal{s.byKey("/merchants", bakery("eyes", object{"settings": object{"supported_credential_types": []string{"phone", "retina"}}})),
			400, "UNSUPPORTED_CREDENTIAL_TYPE", "settings.supported_credential_types[1]", "known", "use any of"},
	)
	made := 1 // the sandbox's own
	for made < 60 {
		a := s.manage("/merchants", bakery(fmt.Sprint(made), nil))
		if a.Status != http.StatusCreated {
			break
		}
		made++
	}
	if made != 50 {
		t.Errorf("a sandbox takes %d merchants", made)
	}
	s.refuses(s.guest, nil, refusal{s.byKey("/merchants", bakery("more", nil)), 409, "STATE_CONFLICT", "integration", "max_merchants", "make a new sandbox"})
}

// A device is registered once.
func TestErrorsOfTerminals(t *testing.T) {
	t.Parallel()
	s := open(t)
	register := func(more object) object {
		body := object{"branch_id": s.where["branch_id"], "name": "Counter"}
		for name, value := range more {
			body[name] = value
		}
		return body
	}
	s.expect(s.manage("/auth/terminals", register(object{"serial_number": "SN-1", "reference": "t-1"})), http.StatusCreated)
	s.refuses(guest{}, nil,
		refusal{s.byKey("/auth/terminals", register(object{"serial_number": "SN-1"})), 409, "DUPLICATE_REFERENCE", "serial_number", "unique", "list the terminals to find it"},
		refusal{s.byKey("/auth/terminals", register(object{"reference": "t-1"})), 409, "DUPLICATE_REFERENCE", "reference", "unique", "give each its own"},
	)
	terminals, _ := s.manage("/auth/terminals", nil).at("data.terminals").([]any)
	if len(terminals) != 2 { // with the sandbox's own
		t.Errorf("%d terminals", len(terminals))
	}
}

// A delivery is tried again only where there is an endpoint that takes it.
func TestErrorsOfDeliveries(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	delivery := s.id("delivery")
	path := "/webhooks/deliveries/" + delivery + "/retry"
	subscription := s.manage("/webhooks/deliveries?state=delivered", nil).text("data.deliveries.0.subscription_id")
	execute(t, "update webhook_subscriptions set status = 'disabled' where subscription_id = $1", subscription)
	s.refuses(guest{}, nil, refusal{s.byKey(path, object{}), 409, "STATE_CONFLICT", "delivery_id", "subscription_enabled", "set its status to active first"})
	s.expect(s.manage("/webhooks/subscriptions/"+subscription+"/delete", object{}), http.StatusOK)
	s.refuses(guest{}, nil, refusal{s.byKey(path, object{}), 409, "STATE_CONFLICT", "delivery_id", "subscription_exists", "create one again and poll GET /webhooks/events"})
}
