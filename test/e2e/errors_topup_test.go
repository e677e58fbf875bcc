package e2e_test

import (
	"net/http"
	"testing"
)

// A deposit is for the customer of its session, for what is on sale, and within
// what a wallet holds.
func TestErrorsOfTopups(t *testing.T) {
	t.Parallel()
	s := open(t)
	g, other := s.verified("+14155550123"), s.verified("+14155550124")
	const most = 1_000_000_000_000
	for sku, body := range map[string]object{"BIG": {"value_minor": most / 2, "active": true}, "OLD": {"value_minor": 500, "active": false}} {
		body["sku_id"], body["name"], body["currency"] = sku, sku, "USD"
		s.expect(s.manage("/topup/skus", body), http.StatusCreated)
	}
	nobodys, others := s.sale(nil), s.sale(byPhone(other))
	prepare := func(body object) request {
		body["amount_minor"], body["currency"] = 900, "USD"
		return s.as("/topup/prepare", body)
	}
	sell := func(sku string, body object) request { return s.as("/topup/sku/"+sku, body) }
	s.refuses(g, []string{nobodys, others},
		refusal{prepare(object{"session_id": nobodys}), 409, "STATE_CONFLICT", "session_id", "identified", "identify it or name the customer_id"},
		refusal{prepare(object{"session_id": others, "customer_id": g.id}), 409, "STATE_CONFLICT", "customer_id", "session_customer", "leave customer_id out"},
		refusal{sell("TOPUP-20", object{"session_id": nobodys}), 409, "STATE_CONFLICT", "session_id", "identified", "identify it or name the customer_id"},
		refusal{sell("OLD", object{"customer_id": g.id}), 409, "STATE_CONFLICT", "sku_id", "on_sale", "register it as active to sell it"},
		refusal{sell("BIG", object{"customer_id": g.id, "quantity": 3}), 422, "AMOUNT_OUT_OF_RANGE", "quantity", "1..10^12", "not within 1 to 1000000000000 minor units"},
	)
	// What is on its way counts: it is in the wallet before anybody can say no.
	s.ok(request{path: "/topup/prepare", body: object{"customer_id": g.id, "amount_minor": most / 2, "currency": "USD"}})
	s.expect(s.post("/topup/sku/BIG", object{"customer_id": g.id}), http.StatusCreated)
	s.refuses(g, nil,
		refusal{prepare(object{"customer_id": g.id}), 422, "AMOUNT_OUT_OF_RANGE", "amount_minor", "wallet_limit", "top up at most 0"},
		refusal{sell("TOPUP-20", object{"customer_id": g.id}), 422, "AMOUNT_OUT_OF_RANGE", "quantity", "wallet_limit", "top up at most 0"},
	)
}

// What the bank paid out is what was deposited, less a fee that it can bear.
func TestErrorsOfSettlements(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	deposit := s.id("deposit")
	s.refuses(s.guest, nil, refusal{s.byKey("/topup/settlement", object{
		"bank_reference": "B1", "currency": "USD", "settled_at": "2026-06-14T06:00:00Z", "lines": []object{{"topup_id": deposit, "fee_minor": 901}},
	}), 422, "AMOUNT_OUT_OF_RANGE", "lines.fee_minor", "fee_within_deposit", "give at most that"})
	s.is(s.manage("/topup/settlement?state=settled", nil), "settled", `{"settlements":[]}`)
}
