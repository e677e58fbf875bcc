package e2e_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/test/e2e/internal/hook"
)

// done polls a request until it is completed.
func (s *shop) done(requestID string) (a *answer) {
	s.t.Helper()
	eventually(s.t, func() error {
		if a = s.manage("/customers/gdpr/requests/"+requestID, nil); a.text("data.state") != "completed" {
			return fmt.Errorf("the request is %s", a.Raw)
		}
		return nil
	})
	return a
}

// download reads the archive behind a link.
func download(t *testing.T, link string) map[string]string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := plain.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/zip" {
		t.Fatalf("%s: %d %s %v", link, res.StatusCode, clip(raw), err)
	}
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(content)
	}
	return files
}

// held lists every column of the database that holds any of needles.
func held(t *testing.T, needles ...string) (hits []string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), system.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	rows, err := db.Query(t.Context(), `SELECT format('SELECT count(*) FROM %I WHERE strpos(%s, $1) > 0', c.table_name,
			CASE WHEN c.data_type = 'bytea' THEN format('encode(%I, ''escape'')', c.column_name) ELSE format('%I::text', c.column_name) END)
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')`)
	if err != nil {
		t.Fatal(err)
	}
	scans, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(scans) < 100 {
		t.Fatalf("%d columns: %v", len(scans), err)
	}
	for _, scan := range scans {
		for _, needle := range needles {
			var n int
			if err := db.QueryRow(t.Context(), scan, needle).Scan(&n); err != nil {
				t.Fatal(scan, err)
			}
			if n > 0 {
				hits = append(hits, fmt.Sprintf("%q is in %d rows: %s", needle, n, scan))
			}
		}
	}
	return hits
}

// complain has a guest get back what can be got back, with words about them
// wherever words go.
func (s *shop) complain(g guest, words string) {
	s.t.Helper()
	transaction, payment := s.sell(s.filled(), g)
	s.expect(s.manage("/refund/create", object{"payment_id": payment, "amount_minor": 5, "reason": words}), http.StatusCreated)
	contest := s.expect(s.manage("/disputes", object{"transaction_id": transaction, "reason": "wrong_amount", "amount_minor": 5, "description": words,
		"evidence": []object{{"type": "statement", "text": words, "facts": object{"who": words}}}}), http.StatusCreated)
	s.expect(s.manage("/disputes/"+contest.text("data.dispute_id")+"/resolve", object{"outcome": "customer", "note": words}), http.StatusOK)
	s.expect(s.manage("/transactions/"+transaction+"/void", object{"reason": words}), http.StatusOK)
	s.expect(s.post("/customers/"+g.id+"/points", object{"type": "earn", "points": 3, "reason": words}), http.StatusCreated)
	goodwill := object{"kind": "goodwill", "customer_id": g.id, "title": words, "value": object{"type": "amount", "amount_minor": 3}, "reason": words}
	s.refused(s.manage("/proposals", goodwill), http.StatusBadRequest, "VALIDATION_FAILED")
	goodwill["title"] = "Sorry"
	for _, decision := range []string{"accept", "reject"} {
		made := s.expect(s.manage("/proposals", goodwill), http.StatusCreated)
		s.expect(s.manage("/proposals/"+made.text("data.proposal_id")+"/decide", object{"decision": decision, "reason": words}), http.StatusOK)
	}
	top := s.post("/topup/prepare", object{"customer_id": g.id, "amount_minor": 2500, "currency": "USD"}).text("data.topup_id")
	s.ok(request{path: "/topup/confirm", body: object{"topup_id": top, "provider_settlement_reference": "ref-" + top}})
	s.ok(request{path: "/topup/" + top + "/reverse", as: s.key, body: object{"reason": "uncollected", "note": words, "allow_partial": true}})
}

// A person's life over REST leaves nothing behind once they are erased: not in
// the tables, not in stored answers, not in the log of events, not in what was
// delivered. The money's record stays sound, and their phone enrols anew.
func TestAPersonIsExportedAndErased(t *testing.T) {
	t.Parallel()
	const phone, name, email, note = "+14155550777", "Zebedee Marchbanks", "marchbanks@example.com", "asked Marchbanks twice"
	needles := []string{phone, strings.TrimPrefix(phone, "+"), "Marchbanks", email}
	s := open(t)
	r := hook.Listen()
	t.Cleanup(r.Close)
	made := s.expect(s.manage("/webhooks/subscriptions", object{"url": r.URL(), "event_types": []string{"*"}}), http.StatusCreated)
	if err := r.Trust(made.text("data.secret")); err != nil {
		t.Fatal(err)
	}
	g := s.verified(phone)
	s.fund(g, 5000)
	for _, purpose := range []string{"terms", "profiling", "receipts"} {
		s.expect(s.post("/enroll/consent", object{"customer_id": g.id, "purpose": purpose, "state": "granted", "version": "1",
			"evidence": object{"signed_by": name}}), http.StatusCreated)
	}
	s.expect(s.manage("/enroll/identity", object{"customer_id": g.id, "name": name, "email": email}), http.StatusOK)
	s.expect(s.post("/customers/"+g.id+"/events", object{"type": "note.taken", "attributes": object{"note": note}}), http.StatusCreated)
	s.expect(s.post("/customers/resolve", object{"credentials": []object{byPhone(g)}}), http.StatusOK)
	hinted := s.refused(s.post("/customers/resolve", object{"credentials": []object{byPhone(g)}, "hints": object{"name": name}}), http.StatusBadRequest, "VALIDATION_FAILED")
	if !strings.Contains(string(hinted.Raw), `"hints"`) {
		t.Errorf("hints are refused by %s", hinted.Raw)
	}
	s.expect(s.post("/identify", object{"credential": byPhone(g)}), http.StatusOK)
	session := s.session()
	s.ok(request{path: "/checkout/sessions/" + session + "/identify", body: object{"credential": byPhone(g)}})
	s.ok(request{path: "/checkout/sessions/" + session + "/basket", body: basket()})
	s.expect(s.post("/payments", bill(100, s.mint(g, "qr"))), http.StatusCreated)
	s.expect(s.post("/checkout/sessions/"+session+"/events", object{"type": "prompt_shown", "prompt": "enroll", "data": object{"note": note}}), http.StatusCreated)
	sold := s.expect(s.post("/checkout/sessions/"+session+"/close", object{"tenders": []object{{"type": "cash", "amount_minor": 1275}}}), http.StatusOK)
	s.expect(s.post("/transactions/"+sold.text("data.transaction.transaction_id")+"/receipt/send", object{"channel": "sms"}), http.StatusAccepted)
	s.complain(g, note)
	seen := strings.Join(held(t, needles...), "\n")
	for _, table := range []string{"customers", "consents", "customer_events", "session_events", "payment_returns", "disputes", "transaction_voids", "points_movements", "proposals", "topups"} {
		if !strings.Contains(seen, " FROM "+table+" ") {
			t.Errorf("the scan sees nothing in %s:\n%s", table, seen)
		}
	}

	asked := s.expect(s.manage("/customers/"+g.id+"/gdpr/export", object{"reason": name + " asked"}), http.StatusAccepted)
	ready := s.done(asked.text("data.request_id"))
	files := download(t, ready.text("data.download_url"))
	for _, what := range []string{phone, name, email, note, "Your purchases"} {
		if !strings.Contains(files["index.html"], what) {
			t.Errorf("the archive does not tell %s", what)
		}
	}
	body := object{"reason": "Article 17"}
	s.refused(s.manage("/customers/"+g.id+"/gdpr/erase", body), http.StatusConflict, "STATE_CONFLICT")
	body["forfeit_balance"] = true
	erased := s.expect(s.manage("/customers/"+g.id+"/gdpr/erase", body), http.StatusAccepted)
	s.refused(s.manage("/customers/"+g.id, nil), http.StatusNotFound, "NOT_FOUND")
	s.done(erased.text("data.request_id"))
	for _, hit := range held(t, needles...) {
		t.Error(hit)
	}
	eventually(t, func() error {
		if s.happened("customer.erased", g.id) != 1 {
			return fmt.Errorf("customer.erased was not told")
		}
		return nil
	})
	if anew, _ := s.enrol(phone); anew.id == g.id {
		t.Error("the phone leads to who was erased")
	}
	if err := verifyLedger(system.dsn); err != nil {
		t.Error(err)
	}
}

// Two identities become one over REST: reads of the old id lead to the new one,
// and the summary shows what there is.
func TestIdentitiesAreMergedAndSummarised(t *testing.T) {
	t.Parallel()
	s := open(t)
	remains := s.verified("+14155550123")
	duplicate, _ := s.enrol("+14155550124")
	s.fund(duplicate, 1575)
	merge := object{"customer_id": remains.id, "source_customer_id": duplicate.id, "reason": "Same person, two phones"}
	merged := s.expect(s.manage("/enroll/merge", merge), http.StatusOK)
	s.is(merged, "data", `{"moved_actual_minor":1575,"balance":{"actual_minor":1575}}`)
	if old := s.expect(s.manage("/customers/"+duplicate.id, nil), http.StatusOK); old.text("data.customer_id") != remains.id {
		t.Errorf("the old id reads %s", old.Raw)
	}
	s.refused(s.manage("/enroll/merge", merge), http.StatusConflict, "STATE_CONFLICT")
	at := s.expect(s.get("/customers/"+duplicate.id+"/summary"), http.StatusOK)
	s.is(at, "data", `{"balance":{"actual_minor":1575}}`)
	if at.text("data.customer.customer_id") != remains.id || at.at("data.customer.phone") != nil || at.text("data.customer.badge") != "new" {
		t.Errorf("summary %s", at.Raw)
	}
	found := s.expect(s.post("/customers/resolve", object{"credentials": []object{byPhone(remains), {"credential_type": "phone", "value": "+14155550124"}}}), http.StatusOK)
	if found.text("data.status") != "resolved" || found.text("data.customer_context.customer_id") != remains.id || found.text("meta.decision_trace_id") == "" {
		t.Errorf("both phones lead to %s", found.Raw)
	}
	if err := verifyLedger(system.dsn); err != nil {
		t.Error(err)
	}
}
