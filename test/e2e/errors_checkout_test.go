package e2e_test

import (
	"net/http"
	"testing"
)

// paidUp opens a session of a guest and pays all that it has due.
func (s *shop) paidUp(g guest) (session string) {
	s.t.Helper()
	session = s.sale(byPhone(g))
	body := bill(1275, s.mint(g, "qr"))
	body["session_id"] = session
	s.expect(s.post("/payments", body), http.StatusCreated)
	return session
}

// What a session holds already stands in the way of what would contradict it.
func TestErrorsOfSessions(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, other := s.verified("+14155550123"), s.verified("+14155550124")
	s.fund(g, 5000)
	empty, filled, paid := s.session(), s.sale(nil), s.paidUp(g)
	offered := s.sale(byPhone(g))
	offer := s.get("/checkout/sessions/" + offered + "/offers").text("data.offers.0.offer_id")
	s.ok(request{path: "/offers/" + offer + "/apply", body: object{"session_id": offered}})
	bound := s.mint(other, "short_code")
	s.ok(request{path: "/checkout/sessions/" + filled + "/identify", body: object{"credential": bound}})
	identify := func(session string, credential object) request {
		return s.as("/checkout/sessions/"+session+"/identify", object{"credential": credential})
	}
	line := object{"line_id": "1", "sku": "LATTE", "quantity": 1, "unit_price_minor": 450}
	dear := object{"line_id": "1", "sku": "LATTE", "quantity": 1, "unit_price_minor": 450, "discount_minor": 451}
	s.refuses(g, []string{empty, filled, paid, offered},
		refusal{s.as("/checkout/sessions", object{"currency": "USD", "basket": object{"lines": []object{dear}}}),
			422, "AMOUNT_OUT_OF_RANGE", "basket.lines[0].discount_minor", "at_most_line", "the line's discount of 451 is more than the line's 450"},
		refusal{identify(empty, bound), 409, "STATE_CONFLICT", "credential.value", "bound_to_session", "ask the customer for a new one"},
		refusal{identify(paid, byPhone(other)), 409, "STATE_CONFLICT", "credential", "same_customer", "open a new one for this customer"},
		refusal{identify(offered, byPhone(other)), 409, "STATE_CONFLICT", "credential", "same_customer", "release them first"},
		refusal{s.as("/checkout/sessions/"+paid+"/basket", object{"expected_revision": 1, "lines": []object{line}}),
			409, "STATE_CONFLICT", "session_id", "at_least_paid", "refund the payment first"},
		refusal{s.as("/checkout/sessions/"+empty+"/close", object{"tenders": []object{}}), 409, "STATE_CONFLICT", "session_id", "has_basket", "put what is sold, or abandon the session"},
		refusal{s.as("/offers/"+offer+"/apply", object{"session_id": paid}), 409, "STATE_CONFLICT", "session_id", "at_least_paid", "apply offers before paying"},
	)
	// As many events as a session takes, behind the server's back: one call each would take long.
	execute(t, `insert into session_events (tenant_no, session_id, event_id, type, data, occurred_at, recorded_at)
		select m.tenant_no, $2, 'evt_' || n, 'prompt_shown', '{}', now(), now() from merchants m, generate_series(1, 1000) n where m.merchant_id = $1`,
		s.made.text("data.merchant_id"), empty)
	s.refuses(g, []string{empty}, refusal{s.as("/checkout/sessions/"+empty+"/events", object{"type": "prompt_shown", "prompt": "tip"}),
		409, "STATE_CONFLICT", "session_id", "max_events", "record fewer, or close the session"})
}

// A sale can be contested for what is left of it, and its receipt goes to who
// wants it, where they want it.
func TestErrorsOfSales(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	of := func(closed *answer) string { return closed.text("data.transaction.transaction_id") }
	hers, nobodys := of(s.closed(s.sale(byPhone(g)), 1275)), of(s.closed(s.sale(nil), 1275))
	send := func(transaction string, body object) request {
		return s.as("/transactions/"+transaction+"/receipt/send", body)
	}
	s.refuses(g, nil,
		refusal{s.byKey("/disputes", object{"transaction_id": hers, "reason": "wrong_amount", "amount_minor": 1276}),
			422, "AMOUNT_OUT_OF_RANGE", "amount_minor", "at_most_left", "contest at most 1275"},
		refusal{send(hers, object{"channel": "sms"}), 403, "CONSENT_REQUIRED", "channel", "consent_receipts", "record that consent first (POST /enroll/consent)"},
		refusal{send(hers, object{}), 409, "STATE_CONFLICT", "channel", "receipt_channel", "name one that the customer agreed to"},
		refusal{send(nobodys, object{"channel": "sms"}), 409, "STATE_CONFLICT", "transaction_id", "identified", "print its receipt"},
	)
}
