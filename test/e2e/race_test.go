package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// atOnce makes n calls that start together and returns their answers.
func atOnce(t *testing.T, n int, call func(i int) request) []*answer {
	t.Helper()
	answers := make([]*answer, n)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		r := call(i)
		all.Go(func() {
			<-begin
			answers[i] = send(t, r)
		})
	}
	close(begin)
	all.Wait()
	return answers
}

// tally counts answers by status and code.
func tally(answers []*answer) map[string]int {
	out := map[string]int{}
	for _, a := range answers {
		out[fmt.Sprintf("%d %s", a.Status, a.code())]++
	}
	return out
}

// as makes a whole terminal's request, for atOnce.
func (s *shop) as(path string, body object) request {
	return request{path: path, as: s.till, key: uuid.NewString(), body: s.whole(body)}
}

// crumb is an amount so small that its cashback is nothing: the wallets of
// these tests move by what the tests do alone.
const crumb = 19

// Of 32 payments at once on a wallet that affords one, one succeeds and 31 are
// declined; nothing is debited twice, and no decline leaves a trace in the
// wallet.
func TestOverspending(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, crumb)
	codes := make([]object, 32)
	for i := range codes {
		codes[i] = s.mint(g, "qr")
	}
	answers := atOnce(t, len(codes), func(i int) request { return s.as("/payments", bill(crumb, codes[i])) })
	if got := tally(answers); got["201 "] != 1 || got["402 INSUFFICIENT_FUNDS"] != 31 {
		t.Errorf("answers: %v", got)
	}
	for _, a := range answers {
		if a.Status == http.StatusPaymentRequired {
			want(t, "decline", `{"shortfall_minor":19,"spendable":{"actual_minor":0,"promo_available_minor":0}}`, a.at("error.recovery"))
		}
	}
	s.is(s.balance(g), "balance", `{"actual_minor":0,"promo_available_minor":0}`)
	if paid, failed := s.happened("payment.succeeded", ""), s.happened("payment.failed", ""); paid != 1 || failed != 31 {
		t.Errorf("%d payments succeeded and %d failed, by their events", paid, failed)
	}
	// The codes of the declined ones are still good.
	s.fund(g, 100)
	good := 0
	for _, code := range codes {
		if a := s.post("/payments", bill(1, code)); a.Status == http.StatusCreated {
			good++
		}
	}
	if good != 31 {
		t.Errorf("%d codes are still good, want 31", good)
	}
}

// One code pays once, however many tills read it at the same moment.
func TestOneCodeAtManyTills(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	code := s.mint(g, "qr")
	answers := atOnce(t, 32, func(int) request { return s.as("/payments", bill(10, code)) })
	if got := tally(answers); got["201 "] != 1 || got["410 CREDENTIAL_USED"] != 31 {
		t.Errorf("answers: %v", got)
	}
	s.is(s.balance(g), "balance", `{"actual_minor":890}`)
}

// One Idempotency-Key sixteen times at once has one effect; who is answered
// before it is done is told to come again, and everybody else gets the same.
func TestOneKeyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	s.fund(g, 900)
	short := s.verified("+14155550124")
	id := s.session()
	qr, other := s.mint(g, "qr"), s.mint(short, "qr")
	for what, r := range map[string]request{
		"payment":  s.as("/payments", bill(10, qr)),
		"decline":  s.as("/payments", bill(10, other)),
		"session":  s.as("/checkout/sessions", object{"currency": "USD"}),
		"basket":   s.as("/checkout/sessions/"+id+"/basket", basket()),
		"mint":     s.as("/qr/mint", object{"customer_id": g.id, "kind": "qr"}),
		"top-up":   s.as("/topup/prepare", object{"customer_id": g.id, "amount_minor": 900, "currency": "USD"}),
		"enrol":    s.as("/enroll/initiate", object{"phone": "+14155550125"}),
		"one time": s.as("/payments", bill(10, byPhone(g))),
		"sandbox":  {path: "/auth/keys/sandbox", key: uuid.NewString(), body: object{"meta": meta(), "currency": "USD"}},
	} {
		var first *answer
		answers := atOnce(t, 16, func(int) request { return r })
		originals := 0
		for _, a := range answers {
			if a.code() == "IDEMPOTENCY_IN_PROGRESS" {
				a = send(t, r) // the first is done by now: all were waited for
			}
			if first == nil {
				first = a
			}
			if a.Status != first.Status || !bytes.Equal(fresh(a.Raw), fresh(first.Raw)) {
				t.Errorf("%s: %d %s\nand %d %s", what, first.Status, first.Raw, a.Status, a.Raw)
			}
			if replayed, _ := a.at("meta.idempotency_replayed").(bool); !replayed {
				originals++
			}
		}
		if originals != 1 || first.Status >= 500 || first.Status >= 400 && what != "decline" {
			t.Errorf("%s: %d originals, %v", what, originals, tally(answers))
		}
	}
	s.is(s.balance(g), "balance", `{"actual_minor":890,"pending_topups_minor":900}`)
	if n := s.happened("payment.failed", ""); n != 1 {
		t.Errorf("%d declines", n)
	}
}

// Two closes at once: one closes, the other finds the session ended; there is
// one transaction and one cashback.
func TestTwoCloses(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	tenders := object{"tenders": []object{{"type": "cash", "amount_minor": 1175}}}
	answers := atOnce(t, 2, func(int) request { return s.as("/checkout/sessions/"+s.held+"/close", tenders) })
	if got := tally(answers); got["200 "] != 1 || got["410 SESSION_ENDED"] != 1 {
		t.Errorf("answers: %v", got)
	}
	for kind, n := range map[string]int{"transaction.created": 1, "checkout.session.closed": 1, "offer.redeemed": 1} {
		if got := s.happened(kind, ""); got != n {
			t.Errorf("%d %s, want %d", got, kind, n)
		}
	}
	grants, _ := s.get("/customers/" + s.guest.id + "/grants?source=CASHBACK").at("data.grants").([]any)
	if len(grants) != 1 {
		t.Errorf("%d cashback grants", len(grants))
	}
}

// A close and a payment at once leave no paid session without its payment: the
// payment is a tender of the close, or it is refused.
func TestCloseAgainstPayment(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	body := bill(500, s.qr)
	body["session_id"] = s.ids["session"]
	answers := atOnce(t, 2, func(i int) request {
		if i == 0 {
			return s.as("/checkout/sessions/"+s.ids["session"]+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}})
		}
		return s.as("/payments", body)
	})
	closed, paid := answers[0].Status == http.StatusOK, answers[1].Status == http.StatusCreated
	if closed == paid {
		t.Errorf("both or none went through: %v", tally(answers))
	}
	if !closed {
		s.refused(answers[0], http.StatusUnprocessableEntity, "TENDERS_MISMATCH")
	}
	if !paid {
		s.refused(answers[1], http.StatusGone, "SESSION_ENDED")
	}
}

// One top-up confirmed at once under many keys credits once.
func TestConfirmAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	g := s.verified("+14155550123")
	topup := s.ok(request{path: "/topup/prepare", body: object{"customer_id": g.id, "amount_minor": 2500, "currency": "USD"}}).text("data.topup_id")
	answers := atOnce(t, 16, func(int) request {
		return s.as("/topup/confirm", object{"topup_id": topup, "provider_settlement_reference": "pi_1"})
	})
	for _, a := range answers {
		want(t, "confirm", `{"topup_id":"`+topup+`","state":"COMPLETED","credited_actual_minor":2500}`, s.expect(a, http.StatusOK).at("data"))
	}
	s.is(s.balance(g), "balance", `{"actual_minor":2500,"promo_available_minor":250,"pending_topups_minor":0}`)
	if n := s.happened("topup.completed", ""); n != 1 {
		t.Errorf("%d topup.completed", n)
	}
}

// One phone enrolled at once at many tills is one customer (rule 35), and a
// basket revised at once takes one of the revisions.
func TestOneOfMany(t *testing.T) {
	t.Parallel()
	s := open(t)
	customers := map[string]bool{}
	enrolments := atOnce(t, 16, func(int) request { return s.as("/enroll/initiate", object{"phone": "+14155550123"}) })
	for _, a := range enrolments {
		if a.Status < 300 {
			customers[a.text("data.customer_id")] = true
		} else {
			s.refused(a, http.StatusTooManyRequests, "ATTEMPTS_EXHAUSTED")
		}
	}
	if got := tally(enrolments); len(customers) != 1 || got["201 "] != 1 {
		t.Errorf("%d customers, %v", len(customers), got)
	}
	id := s.session()
	revisions := atOnce(t, 16, func(int) request { return s.as("/checkout/sessions/"+id+"/basket", basket()) })
	if got := tally(revisions); got["200 "] != 1 || got["409 REVISION_CONFLICT"] != 15 {
		t.Errorf("revisions: %v", got)
	}
}

// Many guests pay at once: every wallet holds what its own answers say, and
// the log has every payment once.
func TestTraffic(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.expect(s.manage("/topup/skus", object{"sku_id": "TINY", "name": "Tiny", "value_minor": 60, "bonus_minor": 40, "currency": "USD"}), http.StatusCreated)
	const guests, each, affordable = 8, 12, 5 // 100 affords five crumbs
	people, codes := make([]guest, guests), make([][]object, guests)
	for i := range people {
		people[i] = s.verified(fmt.Sprintf("+1415555%04d", 200+i))
		s.expect(s.post("/topup/sku/TINY", object{"customer_id": people[i].id}), http.StatusCreated)
		for range each {
			codes[i] = append(codes[i], s.mint(people[i], "qr"))
		}
	}
	answers := atOnce(t, guests*each, func(i int) request { return s.as("/payments", bill(crumb, codes[i/each][i%each])) })
	var ids []string
	for i, g := range people {
		mine := answers[i*each : (i+1)*each]
		if got := tally(mine); got["201 "] != affordable || got["402 INSUFFICIENT_FUNDS"] != each-affordable {
			t.Errorf("guest %d: %v", i, got)
		}
		promo, actual := int64(0), int64(0)
		for _, a := range mine {
			if a.Status == http.StatusCreated {
				ids = append(ids, a.text("data.payment_id"))
				promo += number(a.at("data.debited_promo_minor"))
				actual += number(a.at("data.debited_actual_minor"))
			}
		}
		if promo != 40 || actual != affordable*crumb-40 {
			t.Errorf("guest %d: debited %d promo and %d actual", i, promo, actual)
		}
		s.is(s.balance(g), "balance", `{"actual_minor":5,"promo_available_minor":0}`)
	}
	var logged []string
	for _, e := range s.eventsOf("payment.succeeded") {
		id, _ := shape.At(e, "data.payment_id").(string)
		logged = append(logged, id)
	}
	slices.Sort(ids)
	slices.Sort(logged)
	if !slices.Equal(ids, logged) {
		t.Errorf("%d payments were answered, %d are in the log", len(ids), len(logged))
	}
}

func number(v any) (n int64) {
	_, _ = fmt.Sscan(fmt.Sprint(v), &n) // 0 where it is none
	return n
}

// verifyLedger has the program itself re-derive every balance from its postings.
func verifyLedger(dsn string) error {
	cmd := exec.Command(system.binary, "ledger", "verify")
	cmd.Env = append(os.Environ(), "DATABASE_URL="+dsn)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("feddi ledger verify: %w\n%s", err, out)
	}
	return nil
}
