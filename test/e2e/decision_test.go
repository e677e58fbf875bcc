package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// What a payment was decided on can be read by whoever runs the server.
func TestDecisionOfAPayment(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 1000) // and 50 on top
	waiting := s.expect(s.post("/payments", bill(100, byPhone(g))), http.StatusAccepted).text("data.payment_id")
	paid := s.pays(g, 600).text("data.payment_id")

	out, err := decision(paid)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read, err := shape.Decode([]byte(out))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want(t, "decision", `{"actuator":"wallet","version":"$string",
		"snapshot":{"id":"`+paid+`","kind":"wallet_debit","customer_id":"`+g.id+`","currency":"USD","at":"$time","amount_minor":600,
			"wallet":{"actual_minor":1000,"promo_available_minor":50,"verified":true},"lots":[{"grant_id":"$id:grt_","remaining_minor":50,"issued_at":"$time"}]},
		"plan":{"snapshot_id":"`+paid+`","effects":[
			{"kind":"wallet.debit","class":"promo","amount_minor":50,"currency":"USD","grant_id":"$id:grt_"},
			{"kind":"wallet.debit","class":"actual","amount_minor":550,"currency":"USD"}],
			"reasoning":{"summary":"$string","rule":"wallet.promo_first","facts":{"debited_promo_minor":50,"debited_actual_minor":550}}}}`, read)

	for id, why := range map[string]string{waiting: "nothing was debited", "pay_none": "there is no payment pay_none"} {
		if out, err := decision(id); err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: %v, %s", id, err, out)
		}
	}
}

// decision is what the program itself prints of a payment's decision.
func decision(payment string) (string, error) {
	cmd := exec.Command(system.binary, "ledger", "decision", payment)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+system.dsn)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
