package goldenpath

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Step is one step of the walk as it went.
type Step struct {
	Number int
	Title  string
	Method string
	Path   string // with {id} where an id stood
	Status int
	Took   time.Duration
	// Notes are what there is to say about the answer, a line each.
	Notes []Note
}

// Note is one line under a step.
type Note struct {
	Mark string // "+", "-", "=", "!" or empty: gained, refused, money, event
	Text string
}

// Walker walks. One Walker has one sandbox and walks it any number of times,
// each time with a guest of its own.
type Walker struct {
	c      client
	hook   *receiver
	merch  object // data of the sandbox answer
	report func(Step)
	number int
	phones int
	guest  guest
	latest exchange
}

// guest is what one walk learns on its way.
type guest struct {
	phone, customer, session, offer, payment, transaction string
	qr                                                    object
	due, total, shortfall, tier                           int64
}

// New returns a Walker on a server, for example "http://127.0.0.1:8080".
// report is called after each step.
func New(server string, report func(Step)) *Walker {
	return &Walker{
		c:      client{base: strings.TrimRight(server, "/") + "/v1/partner", http: &http.Client{Timeout: 15 * time.Second}},
		report: report,
	}
}

// Prepare makes the sandbox, subscribes a webhook receiver of its own on
// loopback, and trades the key for a terminal token. Close releases it.
func (w *Walker) Prepare(ctx context.Context) error {
	w.number = 0
	for _, step := range []func(context.Context) error{w.sandbox, w.subscribe, w.terminalToken} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close stops the webhook receiver.
func (w *Walker) Close() {
	if w.hook != nil {
		w.hook.close()
	}
}

// Walk buys one coffee with a new guest.
func (w *Walker) Walk(ctx context.Context) error {
	w.phones++
	w.guest = guest{phone: fmt.Sprintf("+1415555%04d", 2000+w.phones%8000)}
	if w.phones >= 8000 {
		w.guest.phone = fmt.Sprintf("+1415%07d", 6000000+w.phones)
	}
	w.number = 3
	for _, step := range []func(context.Context) error{
		w.open, w.enrol, w.verify, w.identify, w.basket, w.offers, w.apply,
		w.mint, w.payShort, w.prepareTopup, w.confirmTopup, w.pay, w.payAgain,
		w.close, w.receipt,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Hear waits for the webhooks of the walk and reports them as a step.
func (w *Walker) Hear(ctx context.Context) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	got, err := w.hook.wait(ctx, "payment.failed", "payment.succeeded", "grant.released", "transaction.created")
	if err != nil {
		return err
	}
	notes := make([]Note, 0, len(got))
	for _, d := range got {
		notes = append(notes, Note{"!", fmt.Sprintf("%-20s signature valid, %d ms after it happened", d.Type, d.At.Sub(d.Happened).Milliseconds())})
	}
	w.number++
	w.report(Step{Number: w.number, Title: "Hear about it", Method: "POST", Path: "(your webhook endpoint)", Status: http.StatusOK, Took: time.Since(begin), Notes: notes})
	return nil
}

// Arrivals are how long each webhook of all walks took from the event's own
// time to its arrival.
func (w *Walker) Arrivals() []time.Duration {
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	out := make([]time.Duration, 0, len(w.hook.order))
	for _, id := range w.hook.order {
		out = append(out, w.hook.seen[id].At.Sub(w.hook.seen[id].Happened))
	}
	return out
}

// do sends one exchange and keeps it for the notes.
func (w *Walker) post(ctx context.Context, as credential, path string, body object, statuses ...int) error {
	x, err := w.c.post(ctx, as, path, body)
	w.latest = x
	if err != nil {
		return err
	}
	return x.want(statuses...)
}

func (w *Walker) get(ctx context.Context, as credential, path, accept string) error {
	x, err := w.c.get(ctx, as, path, accept)
	w.latest = x
	if err != nil {
		return err
	}
	return x.want(http.StatusOK)
}

// tell reports the latest exchange; shape is its path without ids.
func (w *Walker) tell(title, shape string, notes ...Note) {
	w.number++
	x := w.latest
	w.report(Step{Number: w.number, Title: title, Method: x.Method, Path: shape, Status: x.Status, Took: x.Took, Notes: notes})
}

// expect gives an error where a figure is not what the path promises.
func expect(name string, got, want int64) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %d, the golden path says %d", name, got, want)
}

func (w *Walker) sandbox(ctx context.Context) error {
	if err := w.post(ctx, nobody, "/auth/keys/sandbox", object{"currency": "USD"}, http.StatusCreated); err != nil {
		return err
	}
	d := w.latest.Data
	w.merch, w.c.key = d, text(d, "raw_key")
	w.c.where = object{
		"merchant_id": text(d, "merchant_id"), "branch_id": text(d, "branch_id"),
		"terminal_id": text(d, "terminal_id"), "cashier_id": "c-17", "locale": "en-US",
	}
	offers, _ := at(d, "seed.offers").([]any)
	w.tell("A sandbox of one's own", "/auth/keys/sandbox",
		Note{"", fmt.Sprintf("merchant %s", text(d, "merchant_id"))},
		Note{"", fmt.Sprintf("%d offers, reload tiers and 5 %% cashback are seeded", len(offers))})
	return nil
}

func (w *Walker) subscribe(ctx context.Context) error {
	hook, err := listen(ctx)
	if err != nil {
		return err
	}
	w.hook = hook
	err = w.post(ctx, byKey, "/webhooks/subscriptions", object{
		"url": hook.url, "event_types": []string{"payment.*", "transaction.created", "grant.*"},
	}, http.StatusCreated)
	if err != nil {
		return err
	}
	w.tell("Subscribe to events", "/webhooks/subscriptions",
		Note{"", "payment.*  transaction.created  grant.*   to " + hook.url})
	return hook.trust(text(w.latest.Data, "secret"))
}

func (w *Walker) terminalToken(ctx context.Context) error {
	err := w.post(ctx, byKey, "/auth/token", object{"terminal_id": text(w.merch, "terminal_id")}, http.StatusOK, http.StatusCreated)
	if err != nil {
		return err
	}
	w.c.token = text(w.latest.Data, "token")
	w.tell("The till signs in", "/auth/token", Note{"", fmt.Sprintf("a token for %s s, for this till alone", text(w.latest.Data, "expires_in"))})
	return nil
}

func (w *Walker) open(ctx context.Context) error {
	if err := w.post(ctx, byTerminal, "/checkout/sessions", object{"currency": "USD", "channel": "in_store"}, http.StatusCreated); err != nil {
		return err
	}
	w.guest.session = text(w.latest.Data, "session.session_id")
	w.tell("Open the session", "/checkout/sessions", Note{"", w.guest.session})
	return nil
}

func (w *Walker) enrol(ctx context.Context) error {
	err := w.post(ctx, byTerminal, "/enroll/initiate", object{"phone": w.guest.phone, "session_id": w.guest.session}, http.StatusCreated)
	if err != nil {
		return err
	}
	w.guest.customer = text(w.latest.Data, "customer_id")
	w.tell("Enrol a guest", "/enroll/initiate", Note{"", "state " + text(w.latest.Data, "state") + "; the sandbox shows the code it would send"})
	return nil
}

func (w *Walker) verify(ctx context.Context) error {
	d := w.latest.Data
	err := w.post(ctx, byTerminal, "/enroll/verify", object{"enrollment_id": text(d, "enrollment_id"), "code": text(d, "sandbox.code")}, http.StatusOK)
	if err != nil {
		return err
	}
	w.tell("Prove the phone", "/enroll/verify", Note{"+", "state " + text(w.latest.Data, "state")})
	return nil
}

func (w *Walker) identify(ctx context.Context) error {
	err := w.post(ctx, byTerminal, "/checkout/sessions/"+w.guest.session+"/identify",
		object{"credential": object{"credential_type": "phone", "value": w.guest.phone}}, http.StatusOK)
	if err != nil {
		return err
	}
	if text(w.latest.Data, "customer_context.customer_id") != w.guest.customer {
		return errors.New("identify did not find the guest who has just enrolled")
	}
	w.tell("Identify", "/checkout/sessions/{id}/identify", Note{"+", "badge " + text(w.latest.Data, "customer_context.badge")})
	return nil
}

func (w *Walker) basket(ctx context.Context) error {
	err := w.post(ctx, byTerminal, "/checkout/sessions/"+w.guest.session+"/basket", object{
		"expected_revision": 0,
		"lines": []object{
			{"line_id": "1", "sku": "LATTE", "name": "Caffe latte", "category": "coffee", "quantity": 2, "unit_price_minor": 450},
			{"line_id": "2", "sku": "CROISSANT", "category": "bakery", "quantity": 1, "unit_price_minor": 375, "tax_minor": 0},
		},
		"discount_minor": 0, "tax_minor": 0,
	}, http.StatusOK)
	if err != nil {
		return err
	}
	if err := expect("the basket's total", minor(w.latest.Data, "basket.total_minor"), 1275); err != nil {
		return err
	}
	w.tell("Ring up the basket", "/checkout/sessions/{id}/basket", Note{"", "2 caffe latte, 1 croissant"}, Note{"=", "total " + money(1275)})
	return nil
}

func (w *Walker) offers(ctx context.Context) error {
	if err := w.get(ctx, byTerminal, "/checkout/sessions/"+w.guest.session+"/offers", ""); err != nil {
		return err
	}
	d := w.latest.Data
	var notes []Note
	for _, o := range list(d, "offers") {
		if w.guest.offer == "" && minor(o, "value.amount_minor") == 100 {
			w.guest.offer = text(o, "offer_id")
		}
		notes = append(notes, Note{"+", fmt.Sprintf("%s off: %s", money(minor(o, "value.amount_minor")), text(o, "title"))},
			Note{"", "why: " + text(o, "reasoning.summary")})
	}
	for _, o := range list(d, "withheld") {
		notes = append(notes, Note{"-", text(o, "title") + ": " + text(o, "reason")}, Note{"", "why: " + text(o, "reasoning.summary")})
	}
	notes = append(notes, Note{"", "trace " + text(w.latest.Meta, "decision_trace_id")})
	if w.guest.offer == "" {
		return fmt.Errorf("no offer is worth 100: %s", w.latest.Raw)
	}
	w.tell("Ask for offers", "/checkout/sessions/{id}/offers", notes...)
	return nil
}

func (w *Walker) apply(ctx context.Context) error {
	err := w.post(ctx, byTerminal, "/offers/"+url.PathEscape(w.guest.offer)+"/apply", object{"session_id": w.guest.session}, http.StatusOK, http.StatusCreated)
	if err != nil {
		return err
	}
	w.guest.due = minor(w.latest.Data, "session.due_minor")
	w.guest.total = minor(w.latest.Data, "session.total_minor")
	if err := expect("the total after the offer", w.guest.total, 1175); err != nil {
		return err
	}
	w.tell("Apply the offer", "/offers/{offerId}/apply", Note{"=", "due " + money(w.guest.due)})
	return nil
}

func (w *Walker) mint(ctx context.Context) error {
	if err := w.post(ctx, byTerminal, "/qr/mint", object{"customer_id": w.guest.customer, "kind": "qr"}, http.StatusCreated); err != nil {
		return err
	}
	w.guest.qr, _ = at(w.latest.Data, "credential").(object)
	w.tell("The guest shows a QR code", "/qr/mint", Note{"", "single use, until " + text(w.latest.Data, "expires_at")})
	return nil
}

func (w *Walker) paymentBody() object {
	return object{"session_id": w.guest.session, "amount_minor": w.guest.due, "currency": "USD", "credential": w.guest.qr}
}

func (w *Walker) payShort(ctx context.Context) error {
	if err := w.post(ctx, byTerminal, "/payments", w.paymentBody(), http.StatusPaymentRequired); err != nil {
		return err
	}
	e := w.latest.Error
	w.guest.shortfall = minor(e, "recovery.shortfall_minor")
	if err := expect("the shortfall", w.guest.shortfall, 1175); err != nil {
		return err
	}
	notes := []Note{{"-", fmt.Sprintf("%s: %s short; nothing debited, the code stays good", text(e, "code"), money(w.guest.shortfall))}}
	for i, o := range list(e, "recovery.options") {
		if w.guest.tier == 0 && text(o, "type") == "topup_tier" {
			w.guest.tier = minor(o, "topup_minor")
		}
		notes = append(notes, Note{"", fmt.Sprintf("%d. %-12s %s", i+1, text(o, "type"), text(o, "summary"))})
	}
	notes = append(notes, Note{"", "trace " + text(w.latest.Meta, "decision_trace_id")})
	w.tell("Pay: the money is short", "/payments", notes...)
	return expect("the tier that serves the guest best", w.guest.tier, 2500)
}

func (w *Walker) prepareTopup(ctx context.Context) error {
	err := w.post(ctx, byTerminal, "/topup/prepare", object{
		"customer_id": w.guest.customer, "amount_minor": w.guest.tier, "currency": "USD", "session_id": w.guest.session,
	}, http.StatusCreated)
	if err != nil {
		return err
	}
	w.tell("Take the recovery: top up", "/topup/prepare", Note{"", "provider " + text(w.latest.Data, "provider") + ", state " + text(w.latest.Data, "state")})
	return nil
}

func (w *Walker) confirmTopup(ctx context.Context) error {
	topup := text(w.latest.Data, "topup_id")
	err := w.post(ctx, byTerminal, "/topup/confirm", object{"topup_id": topup, "provider_settlement_reference": "ref-" + topup}, http.StatusOK)
	if err != nil {
		return err
	}
	d := w.latest.Data
	if err := expect("the bonus", minor(d, "bonus_grant.amount_minor"), 250); err != nil {
		return err
	}
	w.tell("Confirm the top-up", "/topup/confirm",
		Note{"=", "actual + " + money(minor(d, "credited_actual_minor"))},
		Note{"=", fmt.Sprintf("promo  + %s  (%s, %s)", money(minor(d, "bonus_grant.amount_minor")), text(d, "bonus_grant.source"), text(d, "bonus_grant.state"))})
	return nil
}

func (w *Walker) pay(ctx context.Context) error {
	if err := w.post(ctx, byTerminal, "/payments", w.paymentBody(), http.StatusCreated); err != nil {
		return err
	}
	d := w.latest.Data
	w.guest.payment = text(d, "payment_id")
	if err := expect("the promo debit", minor(d, "debited_promo_minor"), 250); err != nil {
		return err
	}
	if err := expect("the actual debit", minor(d, "debited_actual_minor"), 925); err != nil {
		return err
	}
	w.tell("Pay again, with the same code", "/payments",
		Note{"=", "promo first: " + money(250)}, Note{"=", "then actual: " + money(925)},
		Note{"", fmt.Sprintf("left: %s actual, %s promo", money(minor(d, "balance.actual_minor")), money(minor(d, "balance.promo_available_minor")))})
	return nil
}

func (w *Walker) payAgain(ctx context.Context) error {
	if err := w.post(ctx, byTerminal, "/payments", w.paymentBody(), http.StatusGone); err != nil {
		return err
	}
	w.tell("A third try is refused", "/payments", Note{"-", text(w.latest.Error, "code") + ": " + text(w.latest.Error, "message")})
	return nil
}

func (w *Walker) close(ctx context.Context) error {
	err := w.post(ctx, byTerminal, "/checkout/sessions/"+w.guest.session+"/close", object{
		"tenders": []object{{"type": "wallet", "amount_minor": w.guest.due, "payment_id": w.guest.payment}},
	}, http.StatusOK)
	if err != nil {
		return err
	}
	d := w.latest.Data
	w.guest.transaction = text(d, "transaction.transaction_id")
	var notes []Note
	for _, decided := range list(d, "decisions") {
		notes = append(notes, Note{"+", text(decided, "kind") + grantText(decided)}, Note{"", "why: " + text(decided, "reasoning.summary")})
		if text(decided, "kind") == "cashback" {
			if err := expect("the cashback", minor(decided, "grant.amount_minor"), 58); err != nil {
				return err
			}
		}
	}
	if len(notes) < 4 {
		return fmt.Errorf("close did not decide on cashback and attribution: %s", w.latest.Raw)
	}
	w.tell("Close: cashback, attribution", "/checkout/sessions/{id}/close", notes...)
	return nil
}

func grantText(decided object) string {
	if at(decided, "grant") == nil {
		return ""
	}
	return fmt.Sprintf(" %s (%s)", money(minor(decided, "grant.amount_minor")), text(decided, "grant.state"))
}

func (w *Walker) receipt(ctx context.Context) error {
	if err := w.get(ctx, byTerminal, "/transactions/"+w.guest.transaction+"/receipt", "text/plain"); err != nil {
		return err
	}
	var notes []Note
	for line := range strings.SplitSeq(strings.TrimRight(string(w.latest.Raw), "\n"), "\n") {
		notes = append(notes, Note{"|", line})
	}
	w.tell("The receipt of record", "/transactions/{transactionId}/receipt", notes...)
	return nil
}

// money shows US dollars; the sandbox of the walk is in USD.
func money(minorUnits int64) string {
	return fmt.Sprintf("%d.%02d", minorUnits/100, minorUnits%100)
}
