package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// undo asks for the undo of a merge.
func (s *shop) undo(merge string, more object) *answer {
	s.t.Helper()
	body := object{"undo_merge_id": merge, "reason": "Two people after all"}
	for name, value := range more {
		body[name] = value
	}
	return s.manage("/enroll/merge", body)
}

// merges merges a duplicate into a guest.
func (s *shop) merges(duplicate, remains guest) *answer {
	s.t.Helper()
	return s.expect(s.manage("/enroll/merge", object{"customer_id": remains.id, "source_customer_id": duplicate.id}), http.StatusOK)
}

// Who must not be merged is not, and each refusal says why.
func TestWhatIsNotMerged(t *testing.T) {
	t.Parallel()
	s := open(t)
	proven := s.verified("+14155550123")
	begun, _ := s.enrol("+14155550124")
	merge := func(into guest, more object) *answer {
		more["customer_id"] = into.id
		return s.manage("/enroll/merge", more)
	}
	a := s.refused(merge(begun, object{"source_customer_id": proven.id}), http.StatusForbidden, "IDENTITY_PROBATIONARY")
	s.has(a, "customer_id")

	// A wallet is in the currency of the session in which it was made.
	s.set("currencies", `["USD", "QAR"]`)
	riyals := ""
	eventually(t, func() error {
		a := s.post("/checkout/sessions", object{"currency": "QAR"})
		if riyals = a.text("data.session.session_id"); riyals == "" {
			return fmt.Errorf("%d %s", a.Status, a.Raw)
		}
		return nil
	})
	abroad := s.expect(s.post("/enroll/initiate", object{"phone": "+14155550125", "session_id": riyals}), http.StatusCreated).text("data.customer_id")
	s.has(s.refused(merge(proven, object{"source_customer_id": abroad}), http.StatusBadRequest, "CURRENCY_MISMATCH"), "source_customer_id")

	over := s.session()
	s.ok(request{path: "/checkout/sessions/" + over + "/abandon", body: object{"reason": "customer_left"}})
	s.has(s.refused(merge(proven, object{"session_id": over}), http.StatusGone, "SESSION_ENDED"), "session_id")
	if err := verifyLedger(system.dsn); err != nil {
		t.Error(err)
	}
}

// has says that the first detail of a refusal names a field.
func (s *shop) has(a *answer, field string) {
	s.t.Helper()
	if got := a.text("error.details.0.field"); got != field {
		s.t.Errorf("the refusal names %q, not %q: %s", got, field, a.Raw)
	}
}

// A merge is undone over REST by the same operation: what moved goes back, reads
// of the old id are its own again, and it happens once.
func TestAMergeIsUndone(t *testing.T) {
	t.Parallel()
	s := open(t)
	remains := s.verified("+14155550123")
	duplicate, _ := s.enrol("+14155550124")
	s.fund(remains, 900)
	s.fund(duplicate, 800)
	lot := s.lot(duplicate, s.budget(10000), 58, time.Time{})
	s.expect(s.post("/customers/"+duplicate.id+"/credentials", object{"credential": fingerprint(7)}), http.StatusCreated)
	m := s.merges(duplicate, remains)
	merge := m.text("data.merge_id")
	s.is(m, "merge", `{"merge_id":"$id:mrg_","moved_actual_minor":800,"undo_until":"$time","undone_at":null,"unreturned":null,"source_balance":null,
		"balance":{"actual_minor":1700,"promo_available_minor":58}}`)
	created, _ := time.Parse(time.RFC3339, m.text("data.created_at"))
	until, err := time.Parse(time.RFC3339, m.text("data.undo_until"))
	if err != nil || until.Sub(created) != 72*time.Hour {
		t.Errorf("from %s until %s", created, until)
	}

	r := request{path: "/enroll/merge", as: s.key, key: uuid.NewString(), body: object{"undo_merge_id": merge}}
	undone := s.expect(s.do(r), http.StatusOK)
	s.is(undone, "undo", `{"merge_id":"`+merge+`","customer_id":"`+remains.id+`","source_customer_id":"`+duplicate.id+`","moved_actual_minor":800,"moved_points":0,
		"moved_grants":[{"grant_id":"`+lot+`","customer_id":"`+duplicate.id+`","state":"LOCKED","remaining_minor":58}],
		"moved_credentials":[{"credential_type":"card_fingerprint","probationary":true}],"undone_at":"$time",
		"unreturned":{"actual_minor":0,"promo_minor":0,"points":0,"credential_ids":[]},
		"balance":{"actual_minor":900,"promo_available_minor":0},"source_balance":{"actual_minor":800,"promo_available_minor":0,"promo_locked_minor":58}}`)
	if again := s.expect(s.do(r), http.StatusOK); again.at("meta.idempotency_replayed") != true || again.text("data.undone_at") != undone.text("data.undone_at") {
		t.Errorf("the same key again: %s", again.Raw)
	}
	if rule := s.refused(s.undo(merge, nil), http.StatusConflict, "STATE_CONFLICT").text("error.details.0.rule"); rule != "not_undone" {
		t.Errorf("a second undo breaks %q", rule)
	}
	for _, g := range []guest{remains, duplicate} {
		if who := s.expect(s.manage("/customers/"+g.id, nil), http.StatusOK); who.text("data.customer_id") != g.id || who.at("data.merged_into") != nil {
			t.Errorf("%s reads %s", g.id, who.Raw)
		}
	}
	s.is(s.expect(s.post("/customers/resolve", object{"credentials": []object{byPhone(duplicate), fingerprint(7)}}), http.StatusOK), "both credentials",
		`{"status":"resolved","customer_context":{"customer_id":"`+duplicate.id+`"}}`)
	if n := s.happened("customer.unmerged", remains.id); n != 1 {
		t.Errorf("told %d times", n)
	}
	if a := s.manage("/webhooks/events/catalog?event_type=customer.unmerged", nil); a.Status == http.StatusOK && a.at("data.event_types.0") == nil {
		t.Errorf("the catalogue does not know it: %s", a.Raw)
	}
	if err := verifyLedger(system.dsn); err != nil {
		t.Error(err)
	}
}

// What is spent since is named, and does not go back but with consent; a refund
// of it goes to whom each class belongs then.
func TestAnUndoOfWhatIsSpent(t *testing.T) {
	t.Parallel()
	s := open(t)
	remains := s.verified("+14155550123")
	duplicate, _ := s.enrol("+14155550124")
	s.fund(duplicate, 900)
	s.lot(duplicate, s.budget(10000), 58, time.Time{})
	merge := s.merges(duplicate, remains).text("data.merge_id")
	payment := s.pays(remains, 158).text("data.payment_id")
	a := s.refused(s.undo(merge, nil), http.StatusConflict, "STATE_CONFLICT")
	want(t, "details", `[{"field":"undo_merge_id","rule":"unspent"},{"field":"unreturned.actual_minor","rule":"missing","message":"100"},
		{"field":"unreturned.promo_minor","rule":"missing","message":"58"}]`, a.at("error.details"))
	s.is(s.balance(remains), "unchanged", `{"actual_minor":800}`)
	a = s.expect(s.undo(merge, object{"accept_partial": true}), http.StatusOK)
	s.is(a, "undo", `{"moved_actual_minor":800,"moved_grants":[],"unreturned":{"actual_minor":100,"promo_minor":58,"points":0},
		"balance":{"actual_minor":0},"source_balance":{"actual_minor":800,"promo_locked_minor":0}}`)
	s.expect(s.manage("/refund/create", object{"payment_id": payment}), http.StatusCreated)
	s.is(s.balance(remains), "the payer", `{"actual_minor":100}`) // and the sale's cashback
	s.is(s.balance(duplicate), "whose lot it is", `{"actual_minor":800,"promo_available_minor":0,"promo_locked_minor":58}`)
	if err := verifyLedger(system.dsn); err != nil {
		t.Error(err)
	}
}

// An undo names a merge and nothing else, and only one of one's own.
func TestWhatIsNoUndo(t *testing.T) {
	t.Parallel()
	s, other := open(t), open(t)
	remains := s.verified("+14155550123")
	duplicate, _ := s.enrol("+14155550124")
	merge := s.merges(duplicate, remains).text("data.merge_id")
	for _, more := range []object{{"customer_id": remains.id}, {"source_customer_id": duplicate.id}, {"session_id": s.session()}} {
		s.refused(s.undo(merge, more), http.StatusBadRequest, "VALIDATION_FAILED")
	}
	for _, body := range []object{
		{"source_customer_id": duplicate.id}, {"customer_id": remains.id}, {},
		{"customer_id": remains.id, "source_customer_id": duplicate.id, "accept_partial": true},
	} {
		s.refused(s.manage("/enroll/merge", body), http.StatusBadRequest, "VALIDATION_FAILED")
	}
	s.refused(s.undo("mrg_none", nil), http.StatusNotFound, "NOT_FOUND")
	other.refused(other.undo(merge, nil), http.StatusNotFound, "NOT_FOUND")

	// After its time it stays, whatever is left.
	execute(t, "update identity_merges set undo_until = now() where merge_id = $1", merge)
	late := s.refused(s.undo(merge, object{"accept_partial": true}), http.StatusConflict, "STATE_CONFLICT")
	want(t, "details", `[{"field":"undo_merge_id","rule":"undo_window"}]`, late.at("error.details"))

	// The merge of a session is undone while it is open.
	session := s.session()
	merge = s.expect(s.manage("/enroll/merge", object{"customer_id": remains.id, "session_id": session}), http.StatusOK).text("data.merge_id")
	s.is(s.expect(s.undo(merge, nil), http.StatusOK), "session", `{"source_customer_id":null,"source_balance":null,"undone_at":"$time"}`)
	if who := s.get("/checkout/sessions/" + session).at("data.session.customer_id"); who != nil {
		t.Errorf("the session belongs to %v", who)
	}
	session = s.session()
	merge = s.expect(s.manage("/enroll/merge", object{"customer_id": remains.id, "session_id": session}), http.StatusOK).text("data.merge_id")
	s.ok(request{path: "/checkout/sessions/" + session + "/abandon", body: object{"reason": "customer_left"}})
	s.refused(s.undo(merge, nil), http.StatusGone, "SESSION_ENDED")
}

// Two undos and payments of who remained at once: one undoes, every payment is
// whole, and nothing is lost.
func TestUndosAndPaymentsAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	remains := s.verified("+14155550123")
	duplicate, _ := s.enrol("+14155550124")
	s.fund(remains, 200)
	s.fund(duplicate, 600)
	merge := s.merges(duplicate, remains).text("data.merge_id")
	codes := make([]object, 6)
	for i := range codes {
		codes[i] = s.mint(remains, "qr")
	}
	answers := make([]*answer, len(codes)+2)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			if i < len(codes) {
				answers[i] = s.post("/payments", bill(70, codes[i]))
				return
			}
			answers[i] = s.undo(merge, object{"accept_partial": true})
		})
	}
	wg.Wait()
	spent, undone := 0, 0
	for i, a := range answers {
		switch {
		case a.Status == http.StatusCreated:
			spent += int(number(a.at("data.debited_actual_minor"))) // the first ones' cashback may have paid a part
		case i >= len(codes) && a.Status == http.StatusOK:
			undone++
		case i >= len(codes) && a.code() == "STATE_CONFLICT", a.code() == "INSUFFICIENT_FUNDS":
		default:
			t.Errorf("answered %d: %s", a.Status, a.Raw)
		}
	}
	left := 0
	for _, g := range []guest{remains, duplicate} {
		left += int(number(s.balance(g).at("data.actual_minor")))
	}
	if undone != 1 || left+spent != 800 {
		t.Errorf("%d undid, %d are left after %d were spent of 800", undone, left, spent)
	}
	if err := verifyLedger(system.dsn); err != nil {
		t.Error(fmt.Errorf("the books: %w", err))
	}
}
