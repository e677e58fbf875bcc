package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
)

// An enrolment is of who stands in the session, of who may be served, and begun
// so often a day.
func TestErrorsOfEnrolling(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, disabled := s.verified("+14155550123"), s.verified("+14155550124")
	session := s.sale(byPhone(g))
	s.ok(request{path: "/customers/" + disabled.id + "/status", as: s.key, body: object{"status": "disabled", "reason": "fraud"}})
	tireless, _ := s.enrol("+14155550125")
	for n := 2; n <= 11; n++ {
		execute(t, "update enrollments set expires_at = now() - interval '1 second' where customer_id = $1", tireless.id)
		if n <= 10 {
			s.ok(request{path: "/enroll/initiate", body: object{"phone": tireless.phone}})
		}
	}
	begin := func(phone string, more object) request {
		body := object{"phone": phone}
		for name, value := range more {
			body[name] = value
		}
		return s.as("/enroll/initiate", body)
	}
	s.refuses(g, []string{session},
		refusal{begin("+14155550126", object{"session_id": session}), 409, "STATE_CONFLICT", "session_id", "anonymous", "enrol this guest in a session of their own"},
		refusal{begin(disabled.phone, nil), 409, "STATE_CONFLICT", "phone", "enrollable", "refer the guest to the merchant's customer care"},
		refusal{begin(tireless.phone, nil), 429, "ATTEMPTS_EXHAUSTED", "phone", "max_enrollments", "wait for Retry-After"},
	)
	s.is(s.lookup("phone=%2B14155550126"), "who was refused", `{"status":"not_found"}`)
}

// What a customer is stands in the way of what is asked for it.
func TestErrorsOfCustomers(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	duplicate, _ := s.enrol("+14155550124")
	s.link(duplicate, fingerprint(5))
	s.refuses(g, nil, refusal{s.as("/redeem/balance-check", object{"credential": fingerprint(5)}),
		403, "IDENTITY_PROBATIONARY", "credential", "proven", "pay with the customer's code, or verify the phone first"})
	s.expect(s.manage("/enroll/merge", object{"customer_id": g.id, "source_customer_id": duplicate.id, "reason": "Same person"}), http.StatusOK)
	// An export that another server is at work on.
	execute(t, `insert into gdpr_requests (request_id, tenant_no, customer_id, kind, state, due_at, requested_at)
		select 'gdr_' || customer_id, tenant_no, customer_id, 'export', 'processing', now() + interval '1 hour', now() from customers where customer_id = $1`, g.id)
	status := func(status string) request {
		return s.byKey("/customers/"+duplicate.id+"/status", object{"status": status, "reason": "asked"})
	}
	s.refuses(g, nil,
		refusal{status("disabled"), 409, "STATE_CONFLICT", "customer_id", "not_merged", "set the status of that one"},
		refusal{status("active"), 409, "STATE_CONFLICT", "customer_id", "not_merged", "merged into " + g.id},
		refusal{s.byKey("/customers/"+g.id+"/gdpr/export", object{"reason": "asked"}), 409, "STATE_CONFLICT", "customer_id", "one_at_a_time", "read it (GET /customers/gdpr/requests/gdr_" + g.id},
	)
	// The status that a customer has already is no error: who asks gets it.
	s.is(s.manage("/customers/"+g.id+"/status", object{"status": "active", "reason": "asked"}), "the same status", `{"status":"active"}`)
	if n := s.happened("customer.status_changed", g.id); n != 0 {
		t.Errorf("%d changes of a status to itself", n)
	}
}

// Signals are resolved where they are, of kinds that the merchant takes, and not
// by guessing.
func TestErrorsOfResolving(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	resolve := func(credentials ...object) object { return object{"credentials": credentials} }
	nowhere := resolve(byPhone(g))
	nowhere["context"] = object{"merchant_id": s.made.text("data.merchant_id"), "branch_id": "brn_none"}
	s.refuses(g, nil, refusal{s.byKey("/customers/resolve", nowhere), 404, "NOT_FOUND", "branch", "exists", "check the id"})
	guess := func(n int) object { return object{"credential_type": "short_code", "value": fmt.Sprintf("Z%04d", n)} }
	for i := range 10 {
		s.is(s.post("/customers/resolve", resolve(byPhone(g), guess(2200+i))), "a guess", `{"status":"resolved"}`)
	}
	s.refuses(g, nil, refusal{s.as("/customers/resolve", resolve(byPhone(g), guess(2300))),
		429, "ATTEMPTS_EXHAUSTED", "credentials[1].value", "max_guesses", "wait for Retry-After, or have the customer show a QR code"})
	s.set("supported_credential_types", `["phone"]`)
	eventually(t, func() error {
		if a := s.post("/identify", object{"credential": fingerprint(9)}); a.code() != "UNSUPPORTED_CREDENTIAL_TYPE" {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
	s.refuses(g, nil, refusal{s.as("/customers/resolve", resolve(byPhone(g), fingerprint(9))),
		400, "UNSUPPORTED_CREDENTIAL_TYPE", "credentials[1].credential_type", "enabled", "GET /capabilities lists supported_credential_types"})
}
