package identity_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/adapters/vault"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/identities"
	"github.com/feddi/feddi/core/app/privacy"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/decision"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ids"
	model "github.com/feddi/feddi/core/privacy"
)

func (b *bench) privacy(t testing.TB) *privacy.Service {
	t.Helper()
	sealer, err := vault.New(bytes.Repeat([]byte{7}, 32), "tests")
	must(t, err)
	return &privacy.Service{
		UoW: b.uow, Clock: b.clock, IDs: b.ids, Sealer: sealer, LinkKey: bytes.Repeat([]byte{8}, 32), PublicURL: func() string { return "https://feddi.test" },
	}
}

// operator is a call with operator authority.
func (b *bench) operator(operation string) *app.Call {
	call := b.call(operation)
	call.Actor.Operator = true
	return call
}

const (
	personName  = "Ada Quillfeather"
	personEmail = "quillfeather@example.com"
	personBirth = "1990-12-10"
	personNote  = "likes oat milk, says Quillfeather"
)

// person is a customer with something of everything.
func (b *bench) person(t testing.TB) identity.Customer {
	t.Helper()
	ctx := t.Context()
	c := b.verified(t, guest)
	for _, p := range []identity.Purpose{identity.ForTerms, identity.ForProfiling} {
		b.agree(t, c.ID, p, "", identity.ConsentGranted)
	}
	_, err := b.customers.RecordConsent(ctx, b.call("recordConsent"), customers.ConsentInput{
		CustomerID: c.ID, Purpose: identity.ForReceipts, Channel: "sms", State: identity.ConsentGranted, Version: "1",
		Evidence: json.RawMessage(`{"signed_by": "` + personName + `", "phone": "` + guest + `"}`),
	})
	must(t, err)
	_, err = b.customers.SubmitIdentity(ctx, b.call("submitIdentity"), customers.AttributesInput{
		CustomerID: c.ID, Name: personName, Email: personEmail, BirthDate: personBirth, Language: "en-GB",
	})
	must(t, err)
	_, err = b.customers.LogEvent(ctx, b.call("logCustomerEvent"), customers.EventInput{
		CustomerID: c.ID, Type: "note.taken", Attributes: json.RawMessage(`{"note": "` + personNote + `", "mail": "` + personEmail + `"}`),
	})
	must(t, err)
	off := true
	_, err = b.customers.UpdatePreferences(ctx, b.call("updateCustomerPreferences"), customers.PreferencesInput{
		CustomerID: c.ID, Change: identity.PreferenceChange{OptOut: &identity.OptOut{All: off}},
	})
	must(t, err)
	_, err = b.link(t, c.ID, fingerprint("fp_person"))
	must(t, err)
	_, err = b.link(t, c.ID, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-quillfeather"})
	must(t, err)
	b.deposit(t, c.ID, 900)
	b.issue(t, c.ID, 58)
	b.earn(t, c.ID, 40)
	b.mint(t, c.ID, identity.QR)
	tx := b.sale(t, c.ID)
	_, err = b.send(t, tx.ID, "sms")
	must(t, err)
	s := b.session(t)
	s.CustomerID, s.CredentialType = c.ID, "phone"
	if s, err = b.uow.Read().Checkout.Save(ctx, s); err != nil {
		t.Fatal(err)
	}
	basket := checkout.Basket{SessionID: s.ID, Revision: 1, Currency: "USD", Lines: []checkout.Line{{LineID: "1", SKU: "OATCAKE", Quantity: 1, UnitPriceMinor: 100}}, SubtotalMinor: 100, TotalMinor: 100, CreatedAt: b.clock.Now()}
	must(t, b.uow.Read().Checkout.AddBasket(ctx, b.tenant, basket))
	_, err = b.db.Q().Exec(ctx, `INSERT INTO payments (payment_id, tenant_no, customer_id, session_id, status, amount_minor, currency, credential_type, failure_code, created_at)
		VALUES ($1, $2, $3, $4, 'failed', 77, 'USD', 'phone', 'INSUFFICIENT_FUNDS', $5)`, b.ids.Make(ids.Payment), b.tenant.No, c.ID, s.ID, b.clock.Now())
	must(t, err)
	b.plant(t, c, tx, s.ID)
	got, err := b.uow.Read().Identity.Customer(ctx, b.tenant, c.ID)
	must(t, err)
	return got
}

// fetch reads the archive behind a link: its files by name.
func fetch(t testing.TB, uses *privacy.Service, v privacy.View) map[string]string {
	t.Helper()
	link, ok := strings.CutPrefix(v.DownloadURL, "https://feddi.test/exports/")
	id, token, found := strings.Cut(link, "?token=")
	if !ok || !found {
		t.Fatalf("link %q", v.DownloadURL)
	}
	write, err := uses.Open(t.Context(), id, token)
	must(t, err)
	var raw bytes.Buffer
	must(t, write(&raw))
	archive, err := zip.NewReader(bytes.NewReader(raw.Bytes()), int64(raw.Len()))
	must(t, err)
	files := map[string]string{}
	for _, f := range archive.File {
		in, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(in)
		must(t, err)
		files[f.Name] = string(content)
	}
	return files
}

func TestAnExportHoldsEverythingThatWasPutIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.person(t), b.privacy(t)
	dup := b.initiate(t, number(1)).Customer
	_, err := b.merge(t.Context(), dup.ID, c.ID)
	must(t, err)
	asked, err := uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID, Reason: "Asked for by e-mail"})
	must(t, err)
	if asked.State != model.Pending || asked.DownloadURL != "" {
		t.Errorf("%+v", asked)
	}
	_, err = uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID})
	if e := failure(t, err, fault.CodeStateConflict); !strings.Contains(e.Message, asked.ID) {
		t.Errorf("%v", e)
	}
	n, err := uses.Work(t.Context(), 10)
	if err != nil || n != 1 {
		t.Fatalf("%d done: %v", n, err)
	}
	ready, err := uses.Get(t.Context(), b.ask("getGdprRequest"), asked.ID)
	must(t, err)
	if ready.State != model.Completed || ready.ExpiresAt == nil || len(ready.Counts) < 15 {
		t.Errorf("%+v", ready)
	}
	files := fetch(t, uses, ready)
	for name, has := range map[string]string{
		"identity": personName, "credentials": "provider_customer_id", "enrollments": "VERIFIED", "consents": "signed_by", "preferences": "opt_out_all", "customer_events": personNote,
		"wallets": "901", "grants": "CASHBACK", "points": "earn", "sessions": "cs_", "baskets": "OATCAKE", "payments": "INSUFFICIENT_FUNDS",
		"transactions": "LATTE", "receipts": "receipt_number", "messages": "sms", "merges": "one person", "requests": "Asked for by e-mail",
		"session_events": words, "returns": words, "voids": words, "disputes": words, "proposals": words, "attributions": "off_seen", "commands": words, "shadows": words,
		"topups": words, "topup_settlements": words, "topup_callbacks": words,
	} {
		var rows []map[string]any
		content := files["data/"+name+".json"]
		if err := json.Unmarshal([]byte(content), &rows); err != nil || len(rows) == 0 || !strings.Contains(content, has) {
			t.Errorf("%s misses %s: %v\n%s", name, has, err, content)
		}
		if name != "sessions" && strings.Contains(content, "tenant_no") {
			t.Errorf("%s shows what is ours", name)
		}
	}
	for _, what := range []string{personName, personEmail, personBirth, guest, number(1), personNote, "OATCAKE", "Your purchases"} {
		if !strings.Contains(files["index.html"], what) {
			t.Errorf("a person cannot read %s", what)
		}
	}
	if strings.Contains(files["data/credentials.json"], "quillfeather") {
		t.Error("links are not masked")
	}
	b.notHeld(t, "gdpr_archives", personName) // sealed at rest
}

func TestAnArchiveIsFetchedByItsLinkOnlyAndExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.verified(t, guest), b.privacy(t)
	asked, err := uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID})
	must(t, err)
	_, err = uses.Work(t.Context(), 10)
	must(t, err)
	ready, err := uses.Get(t.Context(), b.ask("getGdprRequest"), asked.ID)
	must(t, err)
	token := ready.DownloadURL[strings.Index(ready.DownloadURL, "token=")+6:]
	for _, wrong := range [][2]string{{asked.ID, ""}, {asked.ID, token + "x"}, {"gdr_none", token}} {
		if _, err := uses.Open(t.Context(), wrong[0], wrong[1]); !errors.Is(err, privacy.ErrGone) {
			t.Errorf("%v opened: %v", wrong, err)
		}
	}
	_, err = uses.Get(t.Context(), b.callOf(b.merchant(t), "getGdprRequest"), asked.ID)
	wantCode(t, err, fault.CodeNotFound)
	b.clock.Advance(model.Kept)
	if _, err := uses.Open(t.Context(), asked.ID, token); !errors.Is(err, privacy.ErrGone) {
		t.Errorf("an old link: %v", err)
	}
	late, err := uses.Get(t.Context(), b.ask("getGdprRequest"), asked.ID)
	if err != nil || late.State != model.Expired || late.DownloadURL != "" {
		t.Errorf("%+v %v", late, err)
	}
	if n, err := uses.Sweep(t.Context(), 10); err != nil || n != 1 || b.count(t, "gdpr_archives") != 0 {
		t.Errorf("%d swept: %v", n, err)
	}
}

// An archive of more than one piece and many pages is whole.
func TestALargeArchiveIsStreamedInPieces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.verified(t, guest), b.privacy(t)
	_, err := b.db.Q().Exec(t.Context(), `INSERT INTO customer_events (customer_event_id, tenant_no, customer_id, type, attributes, occurred_at, recorded_at)
		SELECT 'cev_' || lpad(i::text, 6, '0'), $1, $2, 'page.seen', jsonb_build_object('random', (SELECT string_agg(md5(i::text || j::text), '') FROM generate_series(1, 40) j)), $3, $3
		FROM generate_series(1, 1001) i`, b.tenant.No, c.ID, b.clock.Now())
	must(t, err)
	asked, err := uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID})
	must(t, err)
	_, err = uses.Work(t.Context(), 10)
	must(t, err)
	ready, err := uses.Get(t.Context(), b.ask("getGdprRequest"), asked.ID)
	must(t, err)
	var rows []json.RawMessage
	must(t, json.Unmarshal([]byte(fetch(t, uses, ready)["data/customer_events.json"]), &rows))
	if len(rows) != 1001 || b.count(t, "gdpr_archives") < 2 {
		t.Errorf("%d rows in %d pieces", len(rows), b.count(t, "gdpr_archives"))
	}
}

// An erasure that comes while an archive is written ends it, and nothing of it
// is kept.
func TestAnErasureEndsAnExportUnderWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.verified(t, guest), b.privacy(t)
	asked, err := uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID})
	must(t, err)
	uses.Sealer = sealing{uses.Sealer, func() {
		_, err := uses.RequestErasure(t.Context(), b.operator("requestGdprErasure"), privacy.Input{CustomerID: c.ID, Reason: "x"})
		must(t, err)
	}}
	n, err := uses.Work(t.Context(), 10) // the export, then the erasure
	if err != nil || n != 2 {
		t.Errorf("%d done: %v", n, err)
	}
	got, err := uses.Get(t.Context(), b.ask("getGdprRequest"), asked.ID)
	if err != nil || got.State != model.Failed || got.DownloadURL != "" || b.count(t, "gdpr_archives") != 0 {
		t.Errorf("%+v %v", got, err)
	}
}

// sealing does something before it seals.
type sealing struct {
	model.Sealer
	before func()
}

func (s sealing) Seal(plain []byte) ([]byte, error) {
	s.before()
	return s.Sealer.Seal(plain)
}

func TestAnExportThatKeepsFailingEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.verified(t, guest), b.privacy(t)
	asked, err := uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID})
	must(t, err)
	uses.Sealer = noSealer{}
	for i := range model.MaxAttempts {
		if n, err := uses.Work(t.Context(), 10); err == nil || n != 0 {
			t.Fatalf("attempt %d: %d %v", i, n, err)
		}
		if n, err := uses.Work(t.Context(), 10); i+1 < model.MaxAttempts && (n != 0 || err != nil) {
			t.Fatalf("a leased request was taken again: %d %v", n, err)
		}
		b.clock.Advance(model.Lease)
	}
	got, err := uses.Get(t.Context(), b.ask("getGdprRequest"), asked.ID)
	if err != nil || got.State != model.Failed || got.CompletedAt == nil {
		t.Errorf("%+v %v", got, err)
	}
}

type noSealer struct{}

func (noSealer) Seal([]byte) ([]byte, error) { return nil, io.ErrClosedPipe }
func (noSealer) Open([]byte) ([]byte, error) { return nil, io.ErrClosedPipe }

// notHeld says that no column of a table (empty for every table) holds any of
// needles: every column of text, JSON and bytes is read.
func (b *bench) notHeld(t testing.TB, table string, needles ...string) {
	t.Helper()
	for _, hit := range b.held(t, table, needles...) {
		t.Errorf("%s", hit)
	}
}

func (b *bench) held(t testing.TB, table string, needles ...string) (hits []string) {
	t.Helper()
	type column struct{ TableName, ColumnName, DataType string }
	columns, err := pg.Many[column](t.Context(), b.db.Q(), `SELECT c.table_name::text AS table_name, c.column_name::text AS column_name, c.data_type::text AS data_type
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND ($1 = '' OR c.table_name = $1)
		  AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY', 'date')`, table)
	must(t, err)
	if len(columns) < 2 {
		t.Fatalf("%d columns were found", len(columns))
	}
	for _, c := range columns {
		value := fmt.Sprintf(`%q::text`, c.ColumnName)
		if c.DataType == "bytea" {
			value = fmt.Sprintf(`encode(%q, 'escape')`, c.ColumnName)
		}
		for _, needle := range needles {
			n, err := pg.One[int](t.Context(), b.db.Q(), fmt.Sprintf(`SELECT count(*)::int FROM %q WHERE position($1 in %s) > 0`, c.TableName, value), needle)
			must(t, err)
			if n > 0 {
				hits = append(hits, fmt.Sprintf("%s.%s holds %q in %d rows", c.TableName, c.ColumnName, needle, n))
			}
		}
	}
	return hits
}

func TestAnErasureLeavesNothingThatLeadsToThePerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.person(t), b.privacy(t)
	dup := b.initiate(t, number(1)).Customer
	_, err := b.merge(t.Context(), dup.ID, c.ID)
	must(t, err)
	_, err = uses.RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID, Reason: personName + " asked"})
	must(t, err)
	_, err = uses.Work(t.Context(), 10)
	must(t, err)
	needles := []string{guest, strings.TrimPrefix(guest, "+"), number(1), personName, "Quillfeather", personEmail, personBirth, "quillfeather"}
	found := b.held(t, "", needles...)
	for _, column := range planted {
		if !slices.ContainsFunc(found, func(hit string) bool { return strings.HasPrefix(hit, column+" ") }) {
			t.Fatalf("the scan does not see %s: it found only %v", column, found)
		}
	}
	resolved, err := b.several(t, phoneOf(guest), fingerprint("fp_person"))
	must(t, err)

	ask := func(call *app.Call, forfeit bool) (privacy.View, error) {
		return uses.RequestErasure(t.Context(), call, privacy.Input{CustomerID: c.ID, Reason: "Article 17", Forfeit: forfeit})
	}
	_, err = ask(b.call("requestGdprErasure"), true)
	wantCode(t, err, fault.CodeOperatorRequired)
	_, err = ask(b.operator("requestGdprErasure"), false)
	if e := failure(t, err, fault.CodeStateConflict); e.Details[0].Field != "forfeit_balance" {
		t.Errorf("%v", e)
	}
	call := b.operator("requestGdprErasure")
	erased, err := ask(call, true)
	must(t, err)
	again := *call
	if _, err := ask(&again, true); !isReplay(err) {
		t.Errorf("the same key again: %v", err)
	}
	if n, err := uses.Work(t.Context(), 10); err != nil || n != 1 {
		t.Fatalf("%d done: %v", n, err)
	}
	done, err := uses.Get(t.Context(), b.ask("getGdprRequest"), erased.ID)
	if err != nil || done.State != model.Completed || done.Kind != model.Erasure {
		t.Errorf("%+v %v", done, err)
	}
	b.notHeld(t, "", needles...)
	b.keeps(t)
	b.sound(t)
	if n := b.events(t)[model.EventCustomerErased]; n != 1 {
		t.Errorf("%d events", n)
	}
	trace, err := b.uow.Read().Decisions.Trace(t.Context(), b.tenant, resolved.TraceID)
	must(t, err)
	must(t, decision.Replay(t.Context(), trace, identities.Reweigh))
	b.gone(t, c)
}

// gone says that an erased customer is found by no way, and that their phone
// enrols anew.
func (b *bench) gone(t *testing.T, c identity.Customer) {
	t.Helper()
	if w := b.balance(t, c.ID); w.ActualMinor != 0 || w.PromoAvailableMinor != 0 || len(w.Grants) != 0 {
		t.Errorf("the wallet keeps %+v", w)
	}
	points, err := b.uow.Read().Ledger.PointsOf(t.Context(), b.tenant, c.ID)
	if err != nil || points.Balance != 0 {
		t.Errorf("points %+v %v", points, err)
	}
	for name, err := range b.everyOperation(t, b.call, c.ID) {
		if !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s of an erased customer: %v", name, err)
		}
	}
	open, err := pg.One[int](t.Context(), b.db.Q(), `SELECT count(*)::int FROM checkout_sessions WHERE state = 'open' AND customer_id IS NOT NULL`)
	if err != nil || open != 0 {
		t.Errorf("%d open sessions have an identity: %v", open, err)
	}
	sold, err := pg.One[int](t.Context(), b.db.Q(), `SELECT count(*)::int FROM transactions WHERE customer_id = $1`, c.ID)
	if err != nil || sold == 0 {
		t.Errorf("the record of sales is gone: %v", err)
	}
	anew := b.initiate(t, guest)
	if !anew.Created || anew.Customer.ID == c.ID {
		t.Errorf("the phone enrolled as %+v", anew.Customer)
	}
	_, err = b.privacy(t).RequestErasure(t.Context(), b.operator("requestGdprErasure"), privacy.Input{CustomerID: c.ID, Reason: "again"})
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.privacy(t).RequestExport(t.Context(), b.call("requestGdprExport"), privacy.Input{CustomerID: c.ID})
	wantCode(t, err, fault.CodeNotFound)
}

func TestAnErasureWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, uses := b.verified(t, guest), b.privacy(t)
	s := b.session(t)
	s.CustomerID, s.BasketMinor, s.BasketRevision, s.PaidMinor = c.ID, 100, 1, 100
	_, err := b.uow.Read().Checkout.Save(t.Context(), s)
	must(t, err)
	erase := func(id string) error {
		_, err := uses.RequestErasure(t.Context(), b.operator("requestGdprErasure"), privacy.Input{CustomerID: id, Reason: "x"})
		return err
	}
	if e := failure(t, erase(c.ID), fault.CodeStateConflict); e.Details[0].Rule != "no_paid_session" {
		t.Errorf("%v", e)
	}
	wantCode(t, erase("cus_none"), fault.CodeNotFound)
	call := b.callOf(b.merchant(t), "requestGdprErasure")
	call.Actor.Operator = true
	_, err = uses.RequestErasure(t.Context(), call, privacy.Input{CustomerID: c.ID, Reason: "x"})
	wantCode(t, err, fault.CodeNotFound)
	disabled := b.verified(t, number(2))
	_, err = b.customers.SetStatus(t.Context(), b.call("setCustomerStatus"), customers.StatusInput{CustomerID: disabled.ID, Status: identity.Disabled, Reason: "x"})
	must(t, err)
	must(t, erase(disabled.ID)) // a right that disabling does not take away
}

// Erasures, deposits and merges at once leave sound books.
func TestErasuresWhileMoneyMoves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, d, uses := b.initiate(t, number(1)).Customer, b.initiate(t, number(2)).Customer, b.privacy(t)
	_, errs := together(10, func(i int) (int, error) {
		switch {
		case i < 6:
			b.deposit(t, []string{c.ID, d.ID}[i%2], 10)
			return 0, nil
		case i == 6:
			_, err := b.merge(t.Context(), c.ID, d.ID)
			return 0, err
		}
		_, err := uses.RequestErasure(t.Context(), b.operator("requestGdprErasure"), privacy.Input{CustomerID: []string{c.ID, d.ID}[i%2], Reason: "x", Forfeit: true})
		return 0, err
	})
	for _, err := range errs {
		if err != nil && !fault.Is(err, fault.CodeNotFound) && !fault.Is(err, fault.CodeStateConflict) {
			t.Error(err)
		}
	}
	_, err := uses.Work(t.Context(), 10)
	must(t, err)
	b.notHeld(t, "customers", number(2))
	b.sound(t)
}
