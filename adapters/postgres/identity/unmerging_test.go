package identity_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/customers"
	"github.com/feddi/feddi/core/app/enrollment"
	"github.com/feddi/feddi/core/app/grants"
	"github.com/feddi/feddi/core/app/privacy"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/merging"
	"github.com/feddi/feddi/core/tenancy"
)

func (b *bench) undo(ctx context.Context, mergeID string, partial bool) (enrollment.Merged, error) {
	return b.enrollment.Merge(ctx, b.call("mergeIdentities"), enrollment.MergeInput{UndoID: mergeID, Partial: partial, Reason: "two people"})
}

// merged merges and gives the merge's id.
func (b *bench) merged(t testing.TB, source, target string) string {
	t.Helper()
	m, err := b.merge(t.Context(), source, target)
	must(t, err)
	return m.ID
}

// refused says that a merge cannot be undone, by which rule, and what the
// refusal names beside it.
func (b *bench) refused(t testing.TB, mergeID, rule string, names ...string) {
	t.Helper()
	_, err := b.undo(t.Context(), mergeID, true)
	e := failure(t, err, fault.CodeStateConflict)
	if d := e.Details[0]; d.Rule != rule || d.Field != "undo_merge_id" {
		t.Errorf("refused by %+v, not by %s", d, rule)
	}
	for i, name := range names {
		if got := e.Details[i+1].Message; got != name {
			t.Errorf("it names %s, not %s", got, name)
		}
	}
}

// belongings are what the system holds of a customer and shows.
type belongings struct {
	Customer    identity.Customer
	Balance     ledger.Balance
	Points      ledger.PointsAccount
	Links       []identity.Link
	Consents    []identity.Consent
	Preferences identity.Preferences
	History     identity.History
	Activity    []identity.Activity
	Rows        map[string]int
}

func (b *bench) belongings(t testing.TB, id string) (out belongings) {
	t.Helper()
	st, ctx := b.uow.Read(), t.Context()
	var err error
	out.Customer, err = st.Identity.Customer(ctx, b.tenant, id)
	must(t, err)
	out.Balance = b.balance(t, id)
	out.Points, err = st.Ledger.PointsOf(ctx, b.tenant, id)
	must(t, err)
	out.Links, err = st.Identity.Links(ctx, b.tenant, id)
	must(t, err)
	out.Consents, err = st.Identity.ListConsents(ctx, b.tenant, id, "", b.clock.Now().Add(time.Hour), "", 50)
	must(t, err)
	out.Preferences, err = st.Identity.Preferences(ctx, b.tenant, id)
	must(t, err)
	out.History, err = st.Identity.History(ctx, b.tenant, id)
	must(t, err)
	out.Activity, err = st.Identity.Activity(ctx, b.tenant, identity.ActivityFilter{CustomerID: id, Before: b.clock.Now().Add(time.Hour), Limit: 50})
	must(t, err)
	out.Rows = map[string]int{}
	for _, table := range []string{"grants", "topups", "payment_codes", "customer_events", "messages", "claims", "enrollments", "checkout_sessions"} {
		out.Rows[table], err = pg.One[int](ctx, b.db.Q(), `SELECT count(*)::int FROM `+table+` WHERE tenant_no = $1 AND customer_id = $2`, b.tenant.No, id)
		must(t, err)
	}
	out.Customer.UpdatedAt, out.Balance.Version = time.Time{}, 0
	return out
}

// duplicate is somebody who has proven nothing, with something of everything.
func (b *bench) duplicate(t testing.TB, phone string) identity.Customer {
	t.Helper()
	ctx := t.Context()
	c := b.initiate(t, phone).Customer
	b.deposit(t, c.ID, 1575)
	b.issue(t, c.ID, 58)
	b.earn(t, c.ID, 40)
	for _, value := range []string{"fp_own", "fp_both"} {
		_, err := b.link(t, c.ID, fingerprint(value))
		must(t, err)
	}
	b.agree(t, c.ID, identity.ForReceipts, "sms", identity.ConsentGranted)
	b.agree(t, c.ID, identity.ForProfiling, "", identity.ConsentGranted)
	_, err := b.customers.LogEvent(ctx, b.call("logCustomerEvent"), customers.EventInput{CustomerID: c.ID, Type: "visit", Attributes: json.RawMessage(`{}`)})
	must(t, err)
	_, err = b.customers.UpdatePreferences(ctx, b.call("updateCustomerPreferences"), customers.PreferencesInput{
		CustomerID: c.ID, Change: identity.PreferenceChange{OptOut: &identity.OptOut{All: true}},
	})
	must(t, err)
	b.redrive(t, c.ID)
	b.sale(t, c.ID)
	s := b.session(t)
	s.CustomerID = c.ID
	_, err = b.uow.Read().Checkout.Save(ctx, s)
	must(t, err)
	_, err = b.db.Q().Exec(ctx, `INSERT INTO offer_uses (tenant_no, offer_id, scope, uses) VALUES ($1, 'off_1', 'c:' || $2, 2), ($1, 'off_1', 'c:other', 1)`, b.tenant.No, c.ID)
	must(t, err)
	_, err = b.db.Q().Exec(ctx, `INSERT INTO messages (message_id, tenant_no, customer_id, transaction_id, channel, state, due_at, created_at)
		VALUES ('msg_' || $2, $1, $2, 'txn_1', 'sms', 'queued', $3, $3)`, b.tenant.No, c.ID, b.clock.Now())
	must(t, err)
	_, err = b.db.Q().Exec(ctx, `INSERT INTO topups (topup_id, tenant_no, customer_id, state, amount_minor, currency, source, created_at, completed_at)
		VALUES ('top_' || $2, $1, $2, 'COMPLETED', 1575, 'USD', 'provider', $3, $3)`, b.tenant.No, c.ID, b.clock.Now())
	must(t, err)
	return c
}

// A merge and its undo leave both customers as they were, whatever they had.
func TestAMergeIsUndone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target := b.verified(t, guest)
	b.deposit(t, target.ID, 500)
	b.issue(t, target.ID, 7)
	b.earn(t, target.ID, 2)
	_, err := b.link(t, target.ID, fingerprint("fp_both"))
	must(t, err)
	source := b.duplicate(t, number(1))
	code := b.mint(t, source.ID, identity.QR).Credential
	older := b.initiate(t, number(2)).Customer // who was merged into the source before
	b.sale(t, older.ID)
	b.merged(t, older.ID, source.ID)
	had, ours := b.belongings(t, source.ID), b.belongings(t, target.ID)

	b.clock.Advance(time.Minute)
	m, err := b.merge(t.Context(), source.ID, target.ID)
	must(t, err)
	if until := b.clock.Now().Add(merging.UndoWindow); m.UndoUntil == nil || !m.UndoUntil.Equal(until) || m.Undo != nil {
		t.Errorf("to be undone until %v", m.UndoUntil)
	}
	b.clock.Advance(time.Minute)
	call := b.call("mergeIdentities")
	in := enrollment.MergeInput{UndoID: m.ID, Reason: "two people"}
	got, err := b.enrollment.Merge(t.Context(), call, in)
	must(t, err)
	if u := got.Undo; u.ActualMinor != 1575 || u.Points != 40 || len(u.Grants) != 1 || u.Grants[0].State != ledger.Locked || u.Grants[0].CustomerID != source.ID ||
		len(u.Links) != 1 || !u.Links[0].Probationary || len(u.EntryIDs) != 2 || u.Left.ActualMinor+u.Left.PromoMinor+u.Left.Points != 0 || len(u.Left.Links) != 0 {
		t.Errorf("went back %+v", u)
	}
	if got.ID != m.ID || !got.UndoneAt.Equal(b.clock.Now()) || got.Balance.ActualMinor != 500 || got.SourceBalance.ActualMinor != 1575 || got.SourceBalance.PromoLockedMinor != 58 {
		t.Errorf("%+v %+v", got, got.SourceBalance)
	}
	for id, was := range map[string]belongings{source.ID: had, target.ID: ours} {
		is := b.belongings(t, id)
		// An enrolment that was cut short stays so: the phone begins anew.
		if diff := cmp.Diff(was, is); diff != "" {
			t.Errorf("%s is not as before (-before +after):\n%s", id, diff)
		}
	}
	if read, err := b.customers.Get(t.Context(), b.ask("getCustomer"), older.ID); err != nil || read.Customer.ID != source.ID {
		t.Errorf("who was merged into the source before leads to %+v: %v", read.Customer, err)
	}
	for _, c := range []identity.Credential{phoneOf(source.Phone), fingerprint("fp_own"), code} {
		if r, err := b.resolve(t, c); err != nil || r.Customer == nil || r.Customer.ID != source.ID {
			t.Errorf("%s leads to %+v: %v", c.Type, r.Customer, err)
		}
	}
	if r, err := b.resolve(t, fingerprint("fp_both")); err != nil || !r.Colliding {
		t.Errorf("the card of both leads to %+v: %v", r.Customer, err)
	}
	b.contra(t, m.Merge, got.Undo.EntryIDs)
	b.sound(t)
	n := b.events(t)
	if n[merging.EventCustomerUnmerged] != 1 || n[ledger.EventGrantLocked] < 2 {
		t.Errorf("told %v", n)
	}
	again := *call
	if _, err = b.enrollment.Merge(t.Context(), &again, in); !isReplay(err) {
		t.Errorf("the same key again: %v", err)
	}
	b.refused(t, m.ID, "not_undone")
	if rest := b.count(t, "identity_merge_rows WHERE merge_id = '"+m.ID+"'"); rest != 0 {
		t.Errorf("%d notes are kept", rest)
	}
	b.merged(t, source.ID, target.ID) // which can be done again
	b.sound(t)
}

// contra says that every entry of an undo names the one of the merge that it reverses.
func (b *bench) contra(t testing.TB, m merging.Merge, undo []string) {
	t.Helper()
	names, err := pg.Many[string](t.Context(), b.db.Q(), `SELECT reverses FROM entries WHERE tenant_no = $1 AND entry_id = ANY ($2) AND kind = 'merge' AND ref_id = $3 AND reverses IS NOT NULL`,
		b.tenant.No, undo, m.ID)
	must(t, err)
	slices.Sort(names)
	if want := slices.Sorted(slices.Values(m.EntryIDs)); !slices.Equal(names, want) {
		t.Errorf("%v are reversed, not %v", names, want)
	}
}

// The merged identity is in use again, and history is each one's own: sales of
// while they were one stay where they were made.
func TestAnUndoneMergeLeavesSalesWhereTheyAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target, source := b.verified(t, guest), b.initiate(t, number(1)).Customer
	b.sale(t, source.ID)
	m := b.merged(t, source.ID, target.ID)
	b.sale(t, target.ID)
	_, err := b.undo(t.Context(), m, false)
	must(t, err)
	for id, want := range map[string]int64{source.ID: 1, target.ID: 1} {
		if h, err := b.uow.Read().Identity.History(t.Context(), b.tenant, id); err != nil || h.Transactions != want {
			t.Errorf("%s bought %d times: %v", id, h.Transactions, err)
		}
	}
	again := b.initiate(t, source.Phone)
	if again.Created || again.Customer.ID != source.ID {
		t.Fatalf("the phone enrols %+v", again.Customer)
	}
	if v := b.verify(t, again); v.Customer.ID != source.ID || v.Customer.State != identity.Verified {
		t.Errorf("%+v", v.Customer)
	}
}

func TestRule26LotsThatGoBackToAnUnprovenCustomerAreLockedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun, source := b.initiate(t, guest), b.initiate(t, number(1)).Customer
	lot := b.issue(t, source.ID, 58)
	m := b.merged(t, source.ID, begun.Customer.ID)
	b.verify(t, begun) // the phone of who remains is proven while they are one
	if w := b.balance(t, begun.Customer.ID); w.PromoAvailableMinor != 58 {
		t.Fatalf("%+v", w)
	}
	got, err := b.undo(t.Context(), m, false)
	must(t, err)
	if g := got.Undo.Grants; len(g) != 1 || g[0].ID != lot.ID || g[0].State != ledger.Locked || g[0].ReleasedAt != nil {
		t.Errorf("%+v", g)
	}
	if w := b.balance(t, source.ID); w.PromoLockedMinor != 58 || w.PromoAvailableMinor != 0 {
		t.Errorf("%+v", w)
	}
	if n := b.events(t); n[ledger.EventGrantLocked] != 2 || n[ledger.EventGrantReleased] != 1 {
		t.Errorf("told %v", n)
	}
	b.verify(t, b.initiate(t, source.Phone))
	if w := b.balance(t, source.ID); w.PromoAvailableMinor != 58 {
		t.Errorf("once proven %+v", w)
	}
	b.sound(t)
}

func TestAMergeIsUndoneWithinItsWindowOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target := b.verified(t, guest)
	first := b.merged(t, b.initiate(t, number(1)).Customer.ID, target.ID)
	b.clock.Advance(merging.UndoWindow - time.Second)
	second := b.merged(t, b.initiate(t, number(2)).Customer.ID, target.ID)
	if _, err := b.enrollment.UndoneSweep(t.Context(), 500); err != nil || b.count(t, "identity_merges WHERE noted") != 2 {
		t.Errorf("notes of merges that can be undone are gone: %v", err)
	}
	b.clock.Advance(time.Second)
	b.refused(t, first, "undo_window")
	_, err := b.undo(t.Context(), second, false)
	must(t, err)
	third := b.merged(t, b.duplicate(t, number(3)).ID, target.ID)
	b.clock.Advance(merging.UndoWindow + time.Second)
	for left := 1; left > 0; { // piece by piece
		left, err = b.enrollment.UndoneSweep(t.Context(), 3)
		must(t, err)
		if left > 3 {
			t.Fatalf("%d went at once", left)
		}
	}
	if rows, noted := b.count(t, "identity_merge_rows"), b.count(t, "identity_merges WHERE noted"); rows != 0 || noted != 0 {
		t.Errorf("%d notes of %d merges are kept", rows, noted)
	}
	b.refused(t, third, "undo_window")
	_, err = b.db.Q().Exec(t.Context(), `UPDATE identity_merges SET undo_until = NULL`)
	must(t, err)
	b.refused(t, first, "undo_window") // as one of before the undo
	_, err = b.undo(t.Context(), "mrg_none", false)
	wantCode(t, err, fault.CodeNotFound)
	other := b.merchant(t)
	_, err = b.enrollment.Merge(t.Context(), b.callOf(other, "mergeIdentities"), enrollment.MergeInput{UndoID: third})
	wantCode(t, err, fault.CodeNotFound)
}

// Merges on top of each other are undone from the last to the first.
func TestTheLastMergeIsUndoneFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada, bob, carol := b.initiate(t, number(1)).Customer, b.initiate(t, number(2)).Customer, b.verified(t, guest)
	b.deposit(t, ada.ID, 3)
	b.deposit(t, bob.ID, 40)
	b.issue(t, ada.ID, 5)
	first, second := b.merged(t, ada.ID, bob.ID), b.merged(t, bob.ID, carol.ID)
	b.refused(t, first, "last_merge_first", second)
	_, err := b.undo(t.Context(), second, false)
	must(t, err)
	if w := b.balance(t, ada.ID); w.CustomerID != bob.ID || w.ActualMinor != 43 || w.PromoLockedMinor != 5 {
		t.Errorf("%+v", w)
	}
	_, err = b.undo(t.Context(), first, false)
	must(t, err)
	for id, want := range map[string][2]int64{ada.ID: {3, 5}, bob.ID: {40, 0}, carol.ID: {0, 0}} {
		if w := b.balance(t, id); w.CustomerID != id || w.ActualMinor != want[0] || w.PromoLockedMinor != want[1] {
			t.Errorf("%s has %+v", id, w)
		}
	}
	b.sound(t)
}

// Two merges into the same customer know nothing of each other.
func TestMergesBesideEachOtherAreUndoneInAnyOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada, bob, carol := b.initiate(t, number(1)).Customer, b.initiate(t, number(2)).Customer, b.verified(t, guest)
	b.deposit(t, ada.ID, 3)
	b.deposit(t, bob.ID, 40)
	b.earn(t, ada.ID, 5)
	b.earn(t, bob.ID, 6)
	first := b.merged(t, ada.ID, carol.ID)
	b.merged(t, bob.ID, carol.ID)
	_, err := b.undo(t.Context(), first, false)
	must(t, err)
	if a, c := b.balance(t, ada.ID), b.balance(t, carol.ID); a.ActualMinor != 3 || c.ActualMinor != 40 {
		t.Errorf("%+v %+v", a, c)
	}
	if p, err := b.uow.Read().Ledger.PointsOf(t.Context(), b.tenant, bob.ID); err != nil || p.CustomerID != carol.ID || p.Balance != 6 {
		t.Errorf("%+v %v", p, err)
	}
	b.sound(t)
}

func TestWhatStandsInTheWayOfAnUndo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target := b.verified(t, guest)
	m := b.merged(t, b.initiate(t, number(1)).Customer.ID, target.ID)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := b.db.Q().Exec(t.Context(), sql, args...)
		must(t, err)
	}
	s := b.session(t)
	s.CustomerID, s.BasketMinor, s.BasketRevision, s.PaidMinor = target.ID, 100, 1, 100
	s, err := b.uow.Read().Checkout.Save(t.Context(), s)
	must(t, err)
	b.refused(t, m, "no_paid_session")
	exec(`UPDATE checkout_sessions SET paid_minor = 0 WHERE session_id = $1`, s.ID)
	exec(`INSERT INTO offer_applications (application_id, tenant_no, session_id, offer_id, version, customer_id, state, kind, title, currency, discount_minor,
			value_minor, lines, basket_revision, day, applied_at)
		VALUES ('app_1', $1, $2, 'off_1', 1, $3, 'applied', 'upsell', 'x', 'USD', 0, 0, '[]', 1, '2026-06-12', $4)`, b.tenant.No, s.ID, target.ID, b.clock.Now())
	b.refused(t, m, "no_applied_offers")
	exec(`UPDATE offer_applications SET state = 'released', released_at = $1`, b.clock.Now())
	exec(`INSERT INTO payments (payment_id, tenant_no, customer_id, status, amount_minor, currency, credential_type, code_hash, code_attempts, code_expires_at, created_at)
		VALUES ('pay_1', $1, $2, 'requires_capture', 5, 'USD', 'phone', 'x', 3, $3, $3)`, b.tenant.No, target.ID, b.clock.Now().Add(time.Minute))
	b.refused(t, m, "no_waiting_payment")
	exec(`DELETE FROM payments`)
	exec(`INSERT INTO topups (topup_id, tenant_no, customer_id, state, amount_minor, currency, source, created_at) VALUES ('top_1', $1, $2, 'PENDING', 5, 'USD', 'provider', $3)`,
		b.tenant.No, target.ID, b.clock.Now())
	exec(`UPDATE wallets SET pending_topups_minor = 5 WHERE customer_id = $1`, target.ID)
	b.refused(t, m, "no_pending_topup")
	exec(`DELETE FROM topups`)
	exec(`UPDATE wallets SET pending_topups_minor = 0`)

	status := func(to identity.Status) {
		t.Helper()
		_, err := b.customers.SetStatus(t.Context(), b.call("setCustomerStatus"), customers.StatusInput{CustomerID: target.ID, Status: to, Reason: "x"})
		must(t, err)
	}
	status(identity.Disabled)
	b.refused(t, m, "enabled")
	status(identity.Active)
	_, err = b.privacy(t).RequestErasure(t.Context(), b.operator("requestGdprErasure"), privacy.Input{CustomerID: target.ID, Reason: "x", Forfeit: true})
	must(t, err)
	b.refused(t, m, "erased")
	b.sound(t)
}

// A link that was removed since stays removed, and one that was linked to
// somebody else stays with them; the answer says which did not come back.
func TestCredentialsThatMovedOnStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target, source, other := b.verified(t, guest), b.initiate(t, number(1)).Customer, b.verified(t, number(2))
	pos := identity.Credential{Type: identity.ProviderCustomerID, Value: "pos-1"}
	var linked []identity.Link
	for _, c := range []identity.Credential{fingerprint("fp_gone"), fingerprint("fp_shared"), pos, fingerprint("fp_stays")} {
		l, err := b.link(t, source.ID, c)
		must(t, err)
		linked = append(linked, l)
	}
	m := b.merged(t, source.ID, target.ID)
	for _, l := range []identity.Link{linked[0], linked[2]} {
		removed, err := b.uow.Read().Identity.Unlink(t.Context(), b.tenant, target.ID, l.ID, "lost", b.clock.Now())
		if err != nil || removed == nil {
			t.Fatal(removed, err)
		}
	}
	for _, c := range []identity.Credential{fingerprint("fp_shared"), pos} {
		_, err := b.link(t, other.ID, c)
		must(t, err)
	}
	late, err := b.link(t, target.ID, fingerprint("fp_late"))
	must(t, err)
	got, err := b.undo(t.Context(), m, false)
	must(t, err)
	want := slices.Sorted(slices.Values([]string{linked[0].ID, linked[2].ID}))
	if left := slices.Sorted(slices.Values(got.Undo.Left.Links)); !slices.Equal(left, want) {
		t.Errorf("%v did not come back, want %v", left, want)
	}
	if len(got.Undo.Links) != 2 {
		t.Errorf("%+v went back", got.Undo.Links)
	}
	for c, id := range map[identity.Credential]string{fingerprint("fp_stays"): source.ID, pos: other.ID, {Type: late.Type, Value: "fp_late"}: target.ID} {
		if r, err := b.resolve(t, c); err != nil || r.Customer == nil || r.Customer.ID != id {
			t.Errorf("%s leads to %+v: %v", c.Value, r.Customer, err)
		}
	}
	if r, err := b.resolve(t, fingerprint("fp_gone")); err != nil || r.Customer != nil {
		t.Errorf("a removed card leads to %+v: %v", r.Customer, err)
	}
	if r, err := b.resolve(t, fingerprint("fp_shared")); err != nil || !r.Colliding {
		t.Errorf("a card of two leads to %+v: %v", r.Customer, err)
	}
}

// Gates that the merge opened for who remained are theirs no longer; what they
// released was released.
func TestRule26GatesThatCameWithAMergeGoWithIt(t *testing.T) {
	t.Parallel()
	b := setup(t, gate(tenancy.GateOnFirstTopup))
	target, source := b.verified(t, guest), b.initiate(t, number(1)).Customer
	b.deposit(t, source.ID, 100)
	own := b.issue(t, target.ID, 7)
	m := b.merged(t, source.ID, target.ID)
	if w := b.balance(t, target.ID); w.PromoAvailableMinor != 7 {
		t.Fatalf("%+v", w)
	}
	_, err := b.undo(t.Context(), m, false)
	must(t, err)
	late := b.issue(t, target.ID, 9)
	w := b.balance(t, target.ID)
	if late.State != ledger.Locked || w.PromoAvailableMinor != 7 || w.PromoLockedMinor != 9 || own.State != ledger.Locked {
		t.Errorf("%+v %+v", late, w)
	}
	b.sound(t)
}

func TestPreferencesThatWereChangedSinceStay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target, source := b.verified(t, guest), b.duplicate(t, number(1))
	m := b.merged(t, source.ID, target.ID)
	_, err := b.customers.UpdatePreferences(t.Context(), b.call("updateCustomerPreferences"), customers.PreferencesInput{
		CustomerID: target.ID, Change: identity.PreferenceChange{OptOut: &identity.OptOut{Categories: []string{"coffee"}}},
	})
	must(t, err)
	_, err = b.undo(t.Context(), m, false)
	must(t, err)
	ours, theirs := b.belongings(t, target.ID).Preferences, b.belongings(t, source.ID).Preferences
	if !slices.Equal(ours.OptOut.Categories, []string{"coffee"}) || !theirs.OptOut.All {
		t.Errorf("%+v %+v", ours, theirs)
	}
}

func TestTheMergeOfASessionIsUndone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ada, bob := b.verified(t, guest), b.verified(t, number(1))
	merge := func() (string, string) {
		t.Helper()
		s := b.session(t)
		m, err := b.enrollment.Merge(t.Context(), b.call("mergeIdentities"), enrollment.MergeInput{CustomerID: ada.ID, SessionID: s.ID})
		must(t, err)
		return m.ID, s.ID
	}
	change := func(id string, customerID string, paid int64) {
		t.Helper()
		s, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, id)
		must(t, err)
		s.CustomerID, s.BasketMinor, s.BasketRevision, s.PaidMinor = customerID, 100, 1, paid
		_, err = b.uow.Read().Checkout.Save(t.Context(), s)
		must(t, err)
	}
	m, id := merge()
	got, err := b.undo(t.Context(), m, false)
	must(t, err)
	s, err := b.uow.Read().Checkout.Session(t.Context(), b.tenant, id)
	if err != nil || s.CustomerID != "" || s.CredentialType != "" || got.SourceBalance != nil || got.SessionID != id {
		t.Errorf("%+v %+v %v", s, got, err)
	}
	b.refused(t, m, "not_undone")
	m, id = merge()
	change(id, bob.ID, 0)
	b.refused(t, m, "same_customer")
	m, id = merge()
	change(id, ada.ID, 50)
	_, err = b.undo(t.Context(), m, false)
	if e := failure(t, err, fault.CodeStateConflict); e.Details[0].Rule != "no_paid_session" {
		t.Errorf("%v", e)
	}
	m, _ = merge()
	b.clock.Advance(2 * time.Hour)
	_, err = b.undo(t.Context(), m, false)
	wantCode(t, err, fault.CodeSessionEnded)
	if n := b.events(t)[merging.EventCustomerUnmerged]; n != 1 {
		t.Errorf("told %d times", n)
	}
}

// Undos, a merge on top, deposits, grants and an operator's clawback at once lose
// and make nothing, whoever is first.
func TestUndosWhileMoneyMoves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	uses := &grants.Service{UoW: b.uow, Clock: b.clock, IDs: b.ids, Directory: b.enrollment.Directory}
	for round := range 5 {
		source, target, third := b.initiate(t, number(10*round)).Customer, b.initiate(t, number(10*round+1)).Customer, b.initiate(t, number(10*round+2)).Customer
		b.deposit(t, source.ID, 100)
		lot := b.issue(t, source.ID, 11)
		m := b.merged(t, source.ID, target.ID)
		_, errs := together(12, func(i int) (int, error) {
			switch {
			case i < 6:
				b.deposit(t, []string{source.ID, target.ID}[i%2], 10)
				return 0, nil
			case i < 8:
				b.issue(t, source.ID, 3)
				return 0, nil
			}
			return 0, patient(func() (err error) {
				switch i {
				case 8:
					_, err = b.merge(t.Context(), target.ID, third.ID)
				case 9:
					_, err = uses.ClawBack(t.Context(), b.operator("clawbackGrant"), grants.ClawBackInput{GrantID: lot.ID})
				default:
					_, err = b.undo(t.Context(), m, true)
				}
				return err
			})
		})
		if n := codes(errs); n[""]+n[fault.CodeStateConflict] != 12 || n[fault.CodeStateConflict] == 0 || errs[9] != nil {
			t.Fatalf("%v", errs)
		}
		var actual, promo int64
		seen := map[string]bool{}
		for _, c := range []identity.Customer{source, target, third} {
			if w := b.balance(t, c.ID); !seen[w.CustomerID] {
				seen[w.CustomerID] = true
				actual, promo = actual+w.ActualMinor, promo+w.PromoLockedMinor+w.PromoAvailableMinor
			}
		}
		if actual != 160 || promo != 6 {
			t.Errorf("%d actual, %d promo are left", actual, promo)
		}
		b.sound(t)
	}
}
