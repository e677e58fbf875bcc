package identity_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
)

// ask is a read.
func (b *bench) ask(operation string) *app.Call {
	call := b.call(operation)
	call.Pin = nil
	return call
}

func (b *bench) agree(t testing.TB, customerID string, purpose identity.Purpose, channel string, state identity.ConsentState) identity.Consent {
	t.Helper()
	c, err := b.customers.RecordConsent(t.Context(), b.call("recordConsent"), customers.ConsentInput{
		CustomerID: customerID, Purpose: purpose, Channel: channel, State: state, Version: "2026-05", Evidence: json.RawMessage(`{"screen": "display"}`),
	})
	must(t, err)
	return c
}

// everyOperation calls each operation on a customer, and gives the errors by name.
func (b *bench) everyOperation(t testing.TB, call func(string) *app.Call, id string) map[string]error {
	t.Helper()
	ctx, in := t.Context(), customers.ListInput{CustomerID: id}
	out := map[string]error{}
	_, out["getCustomer"] = b.customers.Get(ctx, call("getCustomer"), id)
	_, out["getCustomerSummary"] = b.customers.Summary(ctx, call("getCustomerSummary"), id)
	_, out["listCustomerActivity"] = b.customers.Activity(ctx, call("listCustomerActivity"), in)
	_, out["listCustomerCredentials"] = b.customers.Credentials(ctx, call("listCustomerCredentials"), customers.CredentialsInput{ListInput: in})
	_, out["linkCustomerCredential"] = b.customers.Link(ctx, call("linkCustomerCredential"), customers.LinkInput{
		CustomerID: id, Credential: identity.Credential{Type: identity.CardFingerprint, Value: "fp_every"},
	})
	_, out["unlinkCustomerCredential"] = b.customers.Unlink(ctx, call("unlinkCustomerCredential"), customers.UnlinkInput{CustomerID: id, LinkID: "crd_none"})
	_, out["recordConsent"] = b.customers.RecordConsent(ctx, call("recordConsent"), customers.ConsentInput{
		CustomerID: id, Purpose: identity.ForTerms, State: identity.ConsentGranted, Version: "1", Evidence: json.RawMessage(`{}`),
	})
	_, out["listConsents"] = b.customers.Consents(ctx, call("listConsents"), in)
	_, out["submitIdentity"] = b.customers.SubmitIdentity(ctx, call("submitIdentity"), customers.AttributesInput{CustomerID: id, Name: "Ada"})
	_, out["getCustomerPreferences"] = b.customers.Preferences(ctx, call("getCustomerPreferences"), id)
	_, out["updateCustomerPreferences"] = b.customers.UpdatePreferences(ctx, call("updateCustomerPreferences"), customers.PreferencesInput{CustomerID: id})
	_, out["logCustomerEvent"] = b.customers.LogEvent(ctx, call("logCustomerEvent"), customers.EventInput{CustomerID: id, Type: "a", Attributes: json.RawMessage(`{}`)})
	_, out["listCustomerEvents"] = b.customers.Events(ctx, call("listCustomerEvents"), in)
	return out
}

func TestRules10And11EveryOperationOnACustomerKeepsToThoseItMayServe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	other := b.merchant(t)
	for name, err := range b.everyOperation(t, func(op string) *app.Call { return b.callOf(other, op) }, c.ID) {
		if !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s at another merchant: %v", name, err)
		}
	}
	_, err := b.customers.SetStatus(t.Context(), b.callOf(other, "setCustomerStatus"), customers.StatusInput{CustomerID: c.ID, Status: identity.Disabled})
	wantCode(t, err, fault.CodeNotFound)
	_, err = b.customers.SetStatus(t.Context(), b.call("setCustomerStatus"), customers.StatusInput{CustomerID: c.ID, Status: identity.Disabled, Reason: "stolen"})
	must(t, err)
	for name, err := range b.everyOperation(t, b.call, c.ID) {
		if !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("%s of a disabled customer: %v", name, err)
		}
	}
	_, err = b.customers.SetStatus(t.Context(), b.call("setCustomerStatus"), customers.StatusInput{CustomerID: c.ID, Status: identity.Active, Reason: "found"})
	must(t, err)
	for name, err := range b.everyOperation(t, b.call, c.ID) {
		switch {
		case name == "unlinkCustomerCredential":
			wantCode(t, err, fault.CodeNotFound) // of the link
		case name == "logCustomerEvent":
			wantCode(t, err, fault.CodeConsentRequired)
		case err != nil:
			t.Errorf("%s of an enabled customer: %v", name, err)
		}
	}
}

func TestTheStatusOfAnIdentityIsToldAndKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	b.clock.Advance(time.Minute)
	set := func(s identity.Status) (identity.Customer, error) {
		return b.customers.SetStatus(t.Context(), b.call("setCustomerStatus"), customers.StatusInput{CustomerID: c.ID, Status: s, Reason: "Reported as stolen"})
	}
	got, err := set(identity.Disabled)
	must(t, err)
	if got.Status != identity.Disabled || !got.UpdatedAt.Equal(b.clock.Now()) {
		t.Errorf("disabled: %+v", got)
	}
	_, err = set(identity.Disabled) // again changes nothing and tells nobody
	must(t, err)
	if n := b.events(t)[identity.EventCustomerDisabled]; n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	reason, err := pg.One[string](t.Context(), b.db.Q(), `SELECT status_reason FROM customers WHERE customer_id = $1`, c.ID)
	must(t, err)
	if reason != "Reported as stolen" {
		t.Errorf("reason %q", reason)
	}
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, c.ID, identity.Merged, start))
	_, err = set(identity.Active)
	wantCode(t, err, fault.CodeStateConflict)
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, c.ID, identity.Erased, start))
	_, err = set(identity.Active)
	wantCode(t, err, fault.CodeNotFound)
}

func TestRules4And5LinksAreOnProbationAndCollide(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada, bob := b.initiate(t, number(1)).Customer, b.verified(t, number(2))
	card := identity.Credential{Type: identity.CardFingerprint, Value: "fp_5f2b9c"}
	link := func(id string, c identity.Credential, provider string) (identity.Link, error) {
		return b.customers.Link(t.Context(), b.call("linkCustomerCredential"), customers.LinkInput{CustomerID: id, Credential: c, Provider: provider})
	}
	first, err := link(ada.ID, card, "")
	must(t, err)
	if !first.Probationary || first.State != identity.LinkActive {
		t.Errorf("a link of an unproven phone: %+v", first)
	}
	again, err := link(ada.ID, card, "")
	must(t, err)
	if again.ID != first.ID {
		t.Errorf("linked twice: %s and %s", first.ID, again.ID)
	}
	second, err := link(bob.ID, card, "")
	must(t, err)
	if second.Probationary || second.State != identity.LinkColliding {
		t.Errorf("a colliding link: %+v", second)
	}
	if r, err := b.resolve(t, card); err != nil || r.Customer != nil || !r.Colliding {
		t.Errorf("a colliding card resolves to %+v, %v", r, err)
	}
	pos := identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-7"}
	l, err := link(ada.ID, pos, "till-maker")
	must(t, err)
	if l.Provider != "till-maker" {
		t.Errorf("provider %q", l.Provider)
	}
	_, err = link(bob.ID, pos, "")
	wantCode(t, err, fault.CodeCredentialAlreadyLinked)
	_, err = link(bob.ID, card, "till-maker")
	wantCode(t, err, fault.CodeValidationFailed)
	for _, kind := range []identity.CredentialType{identity.Phone, identity.QR, identity.ShortCode, identity.Card, "nonsense"} {
		_, err = link(bob.ID, identity.Credential{Type: kind, Value: "x"}, "")
		wantCode(t, err, fault.CodeUnsupportedCredentialType)
	}
	_, err = link(bob.ID, identity.Credential{Type: identity.CardFingerprint, Value: "4111 1111 1111 1111"}, "")
	wantCode(t, err, fault.CodeValidationFailed)
}

func TestAnUnlinkedCredentialStopsIdentifyingAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	pos := identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-7"}
	l, err := b.link(t, c.ID, pos)
	must(t, err)
	unlink := func(id string) (identity.Link, error) {
		return b.customers.Unlink(t.Context(), b.call("unlinkCustomerCredential"), customers.UnlinkInput{CustomerID: c.ID, LinkID: id, Reason: "Card replaced"})
	}
	_, err = unlink(c.PhoneLink().ID)
	wantCode(t, err, fault.CodeStateConflict)
	got, err := unlink(l.ID)
	must(t, err)
	if got.State != identity.LinkUnlinked || got.ID != l.ID {
		t.Errorf("unlinked: %+v", got)
	}
	if r, err := b.resolve(t, pos); err != nil || r.Customer != nil {
		t.Errorf("still identifies %+v, %v", r.Customer, err)
	}
	_, err = unlink(l.ID)
	wantCode(t, err, fault.CodeStateConflict)
	_, err = unlink("crd_unknown")
	wantCode(t, err, fault.CodeNotFound)
	if n := b.events(t)[identity.EventCustomerLinked]; n != 2 {
		t.Errorf("%d events, want one of the link and one of its end", n)
	}
	if _, err := b.link(t, c.ID, pos); err != nil { // free again
		t.Error(err)
	}
	listed := func(ever bool) []identity.Link {
		p, err := b.customers.Credentials(t.Context(), b.ask("listCustomerCredentials"), customers.CredentialsInput{
			ListInput: customers.ListInput{CustomerID: c.ID}, IncludeUnlinked: ever,
		})
		must(t, err)
		return p.Rows
	}
	if n, ever := len(listed(false)), len(listed(true)); n != 2 || ever != 3 {
		t.Errorf("%d links, %d ever; want the phone and the new one, and the old one", n, ever)
	}
}

func TestOfManyConcurrentUnlinksOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	l, err := b.link(t, c.ID, identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-7"})
	must(t, err)
	_, errs := together(8, func(int) (identity.Link, error) {
		return b.customers.Unlink(t.Context(), b.call("unlinkCustomerCredential"), customers.UnlinkInput{CustomerID: c.ID, LinkID: l.ID})
	})
	if got := codes(errs); got[""] != 1 || got[fault.CodeStateConflict] != 7 {
		t.Errorf("8 unlinks gave %v", got)
	}
}

func TestACustomersListsPageWholeAndStable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	b.agree(t, c.ID, identity.ForProfiling, "", identity.ConsentGranted)
	for i := range 6 {
		if i%2 == 0 {
			b.clock.Advance(time.Second) // two rows share each time
		}
		b.issue(t, c.ID, int64(10+i))
		_, err := b.link(t, c.ID, identity.Credential{Type: identity.CardFingerprint, Value: fmt.Sprintf("fp_%d", i)})
		must(t, err)
		b.agree(t, c.ID, identity.ForMarketing, "sms", identity.ConsentGranted)
		_, err = b.customers.LogEvent(t.Context(), b.call("logCustomerEvent"), customers.EventInput{CustomerID: c.ID, Type: "app.opened", Attributes: json.RawMessage(`{"n": 1}`)})
		must(t, err)
	}
	walk := map[string]func(in customers.ListInput) (ids []string, next string, err error){
		"activity": func(in customers.ListInput) ([]string, string, error) {
			p, err := b.customers.Activity(t.Context(), b.ask("listCustomerActivity"), in)
			return keys(p.Rows, func(a identity.Activity) string { return a.ReferenceID }), p.Next, err
		},
		"credentials": func(in customers.ListInput) ([]string, string, error) {
			p, err := b.customers.Credentials(t.Context(), b.ask("listCustomerCredentials"), customers.CredentialsInput{ListInput: in})
			return keys(p.Rows, func(l identity.Link) string { return l.ID }), p.Next, err
		},
		"consents": func(in customers.ListInput) ([]string, string, error) {
			p, err := b.customers.Consents(t.Context(), b.ask("listConsents"), in)
			return keys(p.Rows, func(c identity.Consent) string { return c.ID }), p.Next, err
		},
		"events": func(in customers.ListInput) ([]string, string, error) {
			p, err := b.customers.Events(t.Context(), b.ask("listCustomerEvents"), in)
			return keys(p.Rows, func(e identity.CustomerEvent) string { return e.ID }), p.Next, err
		},
	}
	want := map[string]int{"activity": 6 + 7 + 1, "credentials": 7, "consents": 7, "events": 6}
	for name, page := range walk {
		in, seen := customers.ListInput{CustomerID: c.ID, Limit: 2}, map[string]bool{}
		for range 20 {
			ids, next, err := page(in)
			must(t, err)
			for _, id := range ids {
				if seen[id] {
					t.Errorf("%s: %s came twice", name, id)
				}
				seen[id] = true
			}
			b.issue(t, c.ID, 1) // comes before what was read
			if in.Cursor = next; next == "" {
				break
			}
		}
		if len(seen) != want[name] && name != "activity" || name == "activity" && len(seen) < want[name] {
			t.Errorf("%s: %d rows, want %d", name, len(seen), want[name])
		}
		in.Cursor = "bogus"
		_, _, err := page(in)
		wantCode(t, err, fault.CodeCursorInvalid)
	}
	for kind, n := range map[string]int{"consent": 7, "enrollment": 1, "topup": 0, "dispute": 0} {
		p, err := b.customers.Activity(t.Context(), b.ask("listCustomerActivity"), customers.ListInput{CustomerID: c.ID, Only: kind})
		must(t, err)
		if len(p.Rows) != n {
			t.Errorf("%d rows of %s, want %d", len(p.Rows), kind, n)
		}
	}
	p, err := b.customers.Consents(t.Context(), b.ask("listConsents"), customers.ListInput{CustomerID: c.ID, Only: "profiling"})
	must(t, err)
	e, err := b.customers.Events(t.Context(), b.ask("listCustomerEvents"), customers.ListInput{CustomerID: c.ID, Only: "app.closed"})
	must(t, err)
	if len(p.Rows) != 1 || len(e.Rows) != 0 {
		t.Errorf("%d consents to profiling, %d events app.closed", len(p.Rows), len(e.Rows))
	}
}

func keys[T any](rows []T, key func(T) string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = key(r)
	}
	return out
}

func TestAttributesTakeConsentToTheTerms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	submit := func(in customers.AttributesInput) (identity.Customer, error) {
		in.CustomerID = c.ID
		out, err := b.customers.SubmitIdentity(t.Context(), b.call("submitIdentity"), in)
		return out.Customer, err
	}
	got, err := submit(customers.AttributesInput{Name: "Ada", Language: "en-GB"})
	must(t, err)
	if got.Name != "Ada" || got.Locale != "en-GB" {
		t.Errorf("told %+v", got)
	}
	_, err = submit(customers.AttributesInput{Email: "ada@example.com"})
	detail(t, failure(t, err, fault.CodeConsentRequired), "email")
	_, err = submit(customers.AttributesInput{BirthDate: "1990-12-10"})
	detail(t, failure(t, err, fault.CodeConsentRequired), "birth_date")
	b.agree(t, c.ID, identity.ForTerms, "", identity.ConsentGranted)
	_, err = submit(customers.AttributesInput{Email: "ada@example.com", BirthDate: "1990-12-10"})
	must(t, err)
	got, err = submit(customers.AttributesInput{Name: "Ada L."})
	must(t, err)
	if got.Name != "Ada L." || got.Email != "ada@example.com" || got.BirthDate != "1990-12-10" || got.Locale != "en-GB" {
		t.Errorf("what was left out did not stay: %+v", got)
	}
	for _, day := range []string{"1990-02-30", "2090-01-01", "1601-01-01", "12-10-1990"} {
		_, err = submit(customers.AttributesInput{BirthDate: day})
		detail(t, failure(t, err, fault.CodeValidationFailed), "birth_date")
	}
	b.clock.Advance(time.Second)
	b.agree(t, c.ID, identity.ForTerms, "", identity.ConsentWithdrawn)
	_, err = submit(customers.AttributesInput{Email: "eve@example.com"})
	wantCode(t, err, fault.CodeConsentRequired)
}

func TestPreferencesNarrowWhatAConsentAllows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	change := func(change identity.PreferenceChange) (identity.Preferences, error) {
		return b.customers.UpdatePreferences(t.Context(), b.call("updateCustomerPreferences"), customers.PreferencesInput{CustomerID: c.ID, Change: change})
	}
	p, err := b.customers.Preferences(t.Context(), b.ask("getCustomerPreferences"), c.ID)
	must(t, err)
	if p.Version != 1 || p.UpdatedAt != nil || len(p.Channels) != 0 || p.OptOut.All {
		t.Errorf("at first: %+v", p)
	}
	_, err = change(identity.PreferenceChange{Channels: map[string]bool{"email": true}})
	wantCode(t, err, fault.CodeConsentRequired)
	email := "email"
	_, err = change(identity.PreferenceChange{ReceiptChannel: &email})
	wantCode(t, err, fault.CodeConsentRequired)
	b.agree(t, c.ID, identity.ForReceipts, "email", identity.ConsentGranted)
	one, language := 1, "de-AT"
	p, err = change(identity.PreferenceChange{
		Channels: map[string]bool{"email": true, "sms": false}, ReceiptChannel: &email, Language: &language, Expected: &one,
		OptOut: &identity.OptOut{Kinds: []string{"upsell", "cashback", "upsell"}, Categories: []string{"bakery"}},
	})
	must(t, err)
	if p.Version != 2 || p.UpdatedAt == nil || !p.Channels["email"] || p.ReceiptChannel != "email" || len(p.OptOut.Kinds) != 2 {
		t.Errorf("changed: %+v", p)
	}
	_, err = change(identity.PreferenceChange{Language: &language, Expected: &one})
	detail(t, failure(t, err, fault.CodeRevisionConflict), "expected_version")
	none := ""
	must2 := func(p identity.Preferences, err error) identity.Preferences { t.Helper(); must(t, err); return p }
	must2(change(identity.PreferenceChange{ReceiptChannel: &none}))
	p = must2(b.customers.Preferences(t.Context(), b.ask("getCustomerPreferences"), c.ID))
	on, said := p.Channels["sms"]
	if p.Version != 3 || p.ReceiptChannel != "" || p.Language != "de-AT" || on || !said || len(p.OptOut.Categories) != 1 {
		t.Errorf("read back: %+v", p)
	}
}

func TestOfManyConcurrentChangesOnOneVersionOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	one := 1
	_, errs := together(8, func(i int) (identity.Preferences, error) {
		language := fmt.Sprintf("en-%02d", i)
		return b.customers.UpdatePreferences(t.Context(), b.call("updateCustomerPreferences"), customers.PreferencesInput{
			CustomerID: c.ID, Change: identity.PreferenceChange{Language: &language, Expected: &one},
		})
	})
	if got := codes(errs); got[""] != 1 || got[fault.CodeRevisionConflict] != 7 {
		t.Errorf("8 changes gave %v", got)
	}
}

func TestProfileEventsTakeConsentToProfiling(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.verified(t, guest)
	in := customers.EventInput{CustomerID: c.ID, Type: "app.opened", Attributes: json.RawMessage(`{"platform": "ios"}`)}
	log := func(in customers.EventInput) (identity.CustomerEvent, error) {
		return b.customers.LogEvent(t.Context(), b.call("logCustomerEvent"), in)
	}
	_, err := log(in)
	wantCode(t, err, fault.CodeConsentRequired)
	b.agree(t, c.ID, identity.ForProfiling, "", identity.ConsentGranted)
	e, err := log(in)
	must(t, err)
	if e.Type != "app.opened" || !e.OccurredAt.Equal(b.clock.Now()) || string(e.Attributes) != `{"platform": "ios"}` {
		t.Errorf("logged %+v", e)
	}
	later := b.clock.Now().Add(time.Minute)
	in.OccurredAt = &later
	_, err = log(in)
	detail(t, failure(t, err, fault.CodeValidationFailed), "occurred_at")
	in.OccurredAt, in.SessionID = nil, b.session(t).ID
	_, err = log(in) // nobody identified in that session
	wantCode(t, err, fault.CodeNotFound)
	s := b.session(t)
	s.CustomerID = c.ID
	_, err = b.uow.Read().Checkout.Save(t.Context(), s)
	must(t, err)
	in.SessionID = s.ID
	_, err = log(in)
	must(t, err)
}

func TestRule34AClaimIsReadAsItWas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	g := b.issue(t, out.Customer.ID, 42)
	run, err := b.enrollment.Redrive(t.Context(), b.call("redriveClaims"), enrollment.RedriveInput{CustomerID: out.Customer.ID})
	must(t, err)
	b.verify(t, out)
	got, err := b.enrollment.GetClaim(t.Context(), b.ask("getClaim"), run.Claim.ID)
	must(t, err)
	if len(got.Locked) != 1 || got.Locked[0].Grant.ID != g.ID || got.Locked[0].Reason != identity.NotVerified || len(got.Released) != 0 {
		t.Errorf("claim = %+v", got)
	}
	_, err = b.enrollment.GetClaim(t.Context(), b.callOf(b.merchant(t), "getClaim"), run.Claim.ID)
	wantCode(t, err, fault.CodeNotFound)
}

func TestAnEnrolmentSaysWhereItStands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := b.initiate(t, guest)
	read := func() enrollment.Standing {
		t.Helper()
		s, err := b.enrollment.Get(t.Context(), b.ask("getEnrollment"), out.Enrollment.ID)
		must(t, err)
		return s
	}
	_, err := b.tryCode(t.Context(), out.Enrollment.ID, wrong(out.Proof))
	wantCode(t, err, fault.CodeVerificationFailed)
	if s := read(); s.Expired || s.Enrollment.AttemptsLeft != identity.MaxAttempts-1 || s.Enrollment.State != identity.PendingProof {
		t.Errorf("pending: %+v", s)
	}
	b.clock.Advance(identity.ProofTTL)
	if s := read(); !s.Expired {
		t.Errorf("past its time: %+v", s)
	}
	out = b.initiate(t, guest)
	b.verify(t, out)
	if s := read(); s.Expired || s.Enrollment.State != identity.Verified || s.Enrollment.VerifiedAt == nil {
		t.Errorf("verified: %+v", s)
	}
	_, err = b.enrollment.Get(t.Context(), b.callOf(b.merchant(t), "getEnrollment"), out.Enrollment.ID)
	wantCode(t, err, fault.CodeNotFound)
	must(t, b.uow.Read().Identity.SetStatus(t.Context(), b.tenant, out.Customer.ID, identity.Disabled, start))
	_, err = b.enrollment.Get(t.Context(), b.ask("getEnrollment"), out.Enrollment.ID)
	wantCode(t, err, fault.CodeNotFound)
}
