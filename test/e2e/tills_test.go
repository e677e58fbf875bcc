package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// A till is registered, reports, hears what changed, picks up what it left
// open, shows in the list, and is signed out from the back office.
func TestATillsDay(t *testing.T) {
	t.Parallel()
	s := open(t)
	made := s.expect(s.manage("/auth/terminals", object{"branch_id": s.where["branch_id"], "name": "Counter 2", "serial_number": "SN-2"}), http.StatusCreated)
	id := made.text("data.terminal.terminal_id")
	s.where["terminal_id"] = id
	s.till = s.signIn(s.key, id)
	state := ""
	beat := func() *answer {
		body := object{"software_version": "8.4.1", "terminal_time": time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)}
		if state != "" {
			body["state_token"] = state
		}
		return s.expect(s.post("/auth/heartbeat", body), http.StatusOK)
	}
	first := beat()
	s.is(first, "the first heartbeat", `{"terminal":{"terminal_id":"`+id+`","state":"online","software_version":"8.4.1"},"open_session_ids":[],"next_heartbeat_seconds":30,
		"changed":["capabilities","offers","reload_bonus","topup_skus"],"degraded_subsystems":[]}`)
	if skew := number(first.at("data.clock_skew_ms")); skew < 50_000 || skew > 60_000 {
		t.Errorf("a clock that is a minute ahead is %d ms ahead", skew)
	}
	state = first.text("data.state_token")
	session := s.session()
	s.is(beat(), "with an open session", `{"changed":[],"open_session_ids":["`+session+`"]}`)
	s.ok(request{path: "/checkout/sessions/" + session + "/abandon", body: object{}})
	s.is(beat(), "when it is ended", `{"changed":[],"open_session_ids":[]}`)

	s.expect(s.manage("/topup/skus", object{"sku_id": "TOPUP-7", "name": "Seven", "value_minor": 700, "currency": "USD"}), http.StatusCreated)
	eventually(t, func() error {
		if changed := fmt.Sprint(beat().at("data.changed")); changed != "[topup_skus]" {
			return fmt.Errorf("changed: %s", changed)
		}
		return nil
	})
	list := s.expect(s.manage("/auth/terminals?state=online", nil), http.StatusOK)
	s.is(list, "the list", `{"terminals":[{"terminal_id":"`+id+`","state":"online","last_heartbeat_at":"$time"}]}`)

	old := s.till
	s.expect(s.manage("/auth/token/revoke", object{"terminal_id": id}), http.StatusOK)
	s.refused(s.post("/auth/heartbeat", object{"software_version": "8.4.1"}), http.StatusUnauthorized, "TOKEN_REVOKED")
	s.till = s.signIn(s.key, id)
	beat()
	s.till = old
	s.refused(s.get("/auth/token/validate"), http.StatusUnauthorized, "TOKEN_REVOKED")
}

// What a session tells of itself when it is over: what was shown and declined,
// withheld and why, paid and closed (rule 59).
func TestTheTimelineOfASale(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	path := "/checkout/sessions/" + s.held
	s.expect(s.post(path+"/events", object{"type": "offer_shown", "offer_id": s.ids["offer"]}), http.StatusCreated)
	s.expect(s.post(path+"/events", object{"type": "tender_chosen", "tender_type": "cash"}), http.StatusCreated)
	due := number(s.get(path).at("data.session.due_minor"))
	s.expect(s.post(path+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": due}}}), http.StatusOK)
	var kinds []string
	for next := ""; ; {
		page := s.expect(s.manage(path+"/timeline?limit=3"+next, nil), http.StatusOK)
		rows, _ := page.at("data.entries").([]any)
		for _, row := range rows {
			entry, _ := row.(object)
			kinds = append(kinds, fmt.Sprint(entry["type"]))
			if number(entry["sequence"]) != int64(len(kinds)) || entry["summary"] == "" {
				t.Errorf("entry %d is %v", len(kinds), entry)
			}
		}
		cursor := page.text("meta.next_cursor")
		if cursor == "" {
			break
		}
		next = "&cursor=" + cursor
	}
	at := -1
	for _, kind := range []string{
		"checkout.session.opened", "checkout.session.identified", "checkout.session.basket_revised", "decision.made", "offer_not_shown",
		"offer.applied", "offer_shown", "tender_chosen", "checkout.session.closed",
	} {
		i := slices.Index(kinds, kind)
		if i <= at {
			t.Fatalf("%s stands at %d of %v", kind, i, kinds)
		}
		at = i
	}
	s.refused(s.post(path+"/events", object{"type": "prompt_shown", "prompt": "tip"}), http.StatusGone, "SESSION_ENDED")
	s.refused(s.get(path+"/timeline"), http.StatusForbidden, "SCOPE_INSUFFICIENT") // for the back office
}

// In production a platform key provisions a merchant whole, and its key and
// tills work at once; a retry shows the same key, which is nowhere in the clear.
func TestProvisioningInProduction(t *testing.T) {
	t.Parallel()
	s, _ := production(t)
	key := uuid.NewString()
	body := object{
		"name": "Leaf & Co", "reference": "acct-7", "country": "QA", "currency": "QAR", "timezone": "Asia/Qatar", "key_name": "First",
		"brands": []object{{"name": "Leaf", "reference": "leaf", "branches": []object{{"name": "Souq", "reference": "s-1", "terminals": []object{{"name": "1", "reference": "t-1"}}}}}},
	}
	r := request{path: "/merchants", as: s.key, body: s.whole(body), key: key}
	made := s.expect(sendTo(t, s.server, r), http.StatusCreated)
	if raw := made.text("data.raw_key"); !strings.HasPrefix(raw, "fddi_live_") {
		t.Errorf("the first key is %.10s", raw)
	}
	if again := s.expect(sendTo(t, s.server, r), http.StatusCreated); !bytes.Equal(fresh(again.Raw), made.Raw) {
		t.Errorf("%s and again %s", made.Raw, again.Raw)
	}
	body["name"] = "Other"
	s.refused(s.manage("/merchants", body), http.StatusConflict, "DUPLICATE_REFERENCE")
	merchant, terminal := made.text("data.merchant_id"), made.text("data.brands.0.branches.0.terminals.0.terminal_id")
	s.where = object{"merchant_id": merchant}
	own := credential{"X-Api-Key", made.text("data.raw_key")}
	for _, by := range []credential{own, s.key} {
		s.till = s.signIn(by, terminal)
		s.expect(s.post("/checkout/sessions", object{"currency": "QAR"}), http.StatusCreated)
	}
	s.refused(s.do(request{path: "/merchants", as: own, body: body}), http.StatusForbidden, "SCOPE_INSUFFICIENT")
}
