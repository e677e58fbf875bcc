package events_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/feddi/feddi/adapters/postgres"
	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app"
	uses "github.com/feddi/feddi/core/app/webhooks"
	"github.com/feddi/feddi/core/clock"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/webhook"
)

// service is the use cases on the world's database.
func (w *world) service() *uses.Service {
	return &uses.Service{UoW: postgres.New(w.db, open{}, w.wake.Ring), Clock: clock.System{}, IDs: w.ids, Events: events.NewReader(w.db.Q())}
}

func (w *world) call() *app.Call { return &app.Call{Tenant: w.tenant} }

// post is a delivery as it arrived.
type post struct {
	body   []byte
	header http.Header
}

// recorder keeps posts unjudged; answer says with what status.
func (w *world) recorder(answer func(n int) int) (url string, posts chan post) {
	w.t.Helper()
	posts = make(chan post, 256)
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		n++ // the worker posts one at a time here: each test waits for the one before
		status := http.StatusNoContent
		if answer != nil {
			status = answer(n)
		}
		rw.WriteHeader(status)
		posts <- post{raw, r.Header.Clone()}
	}))
	w.t.Cleanup(server.Close)
	return server.URL, posts
}

func (w *world) next(posts chan post) post {
	w.t.Helper()
	select {
	case p := <-posts:
		return p
	case <-time.After(patience):
		w.t.Fatal("no post arrived")
		return post{}
	}
}

func accepts(t *testing.T, secret string, p post) bool {
	t.Helper()
	verify, err := standard.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Verify(p.body, p.header) == nil
}

// After a rotation every post carries two signatures joined by a space, and the
// reference verifier accepts it with either secret; once the overlap is over
// only the new secret signs.
func TestRotatedSecretSignsAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(nil)
	id := w.subscribe(url, false, "*")
	w.server("a", nil)

	rotated, err := w.service().Rotate(t.Context(), w.call(), id)
	if err != nil {
		t.Fatal(err)
	}
	if rotated.Secret == secret || !strings.HasPrefix(rotated.Secret, "whsec_") {
		t.Fatalf("the new secret is %q", rotated.Secret)
	}
	if left := time.Until(*rotated.PreviousSecretExpiresAt); left > 24*time.Hour || left < 24*time.Hour-time.Minute {
		t.Errorf("the old secret signs along for %v, want 24 h", left)
	}
	w.publish(w.event("payment.succeeded", "pay_1"))
	p := w.next(posts)
	if n := len(strings.Split(p.header.Get(standard.HeaderWebhookSignature), " ")); n != 2 {
		t.Errorf("%d signatures, want 2", n)
	}
	if !accepts(t, secret, p) || !accepts(t, rotated.Secret, p) {
		t.Error("the post does not verify with both secrets")
	}

	// The overlap ends.
	if _, err := w.db.Q().Exec(t.Context(), `update webhook_subscriptions set previous_secret_expires_at = now() where subscription_id = $1`, id); err != nil {
		t.Fatal(err)
	}
	w.publish(w.event("payment.succeeded", "pay_2"))
	p = w.next(posts)
	if accepts(t, secret, p) || !accepts(t, rotated.Secret, p) {
		t.Error("after the overlap a post must verify with the new secret only")
	}
}

// A second rotation drops the oldest secret at once: two sign, never three.
func TestSecondRotationDropsTheOldest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(nil)
	id := w.subscribe(url, false, "*")
	first, err := w.service().Rotate(t.Context(), w.call(), id)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.service().Rotate(t.Context(), w.call(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.server("a", nil)
	w.publish(w.event("payment.succeeded", "pay_1"))
	p := w.next(posts)
	if accepts(t, secret, p) || !accepts(t, first.Secret, p) || !accepts(t, second.Secret, p) {
		t.Error("the two newest secrets must sign, the oldest must not")
	}
}

// A change holds for the very next post, also for what waits already.
func TestUpdateMovesWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(nil)
	id := w.subscribe("http://127.0.0.1:1/", false, "payment.*")
	s, paused, active := w.service(), webhook.Paused, webhook.Active
	if sub, err := s.Update(t.Context(), w.call(), uses.UpdateInput{SubscriptionID: id, Change: webhook.Change{Status: &paused}}); err != nil || sub.Status != webhook.Paused {
		t.Fatalf("paused: %v %v", sub.Status, err)
	}
	w.server("a", nil)
	w.publish(w.event("payment.succeeded", "pay_1"))
	eventually(t, func() bool { // the event waits
		n, err := pg.One[int](t.Context(), w.db.Q(), `select count(*)::int from webhook_deliveries where state = 0`)
		return err == nil && n == 1
	})
	description := "moved"
	sub, err := s.Update(t.Context(), w.call(), uses.UpdateInput{SubscriptionID: id, Change: webhook.Change{
		URL: &url, Status: &active, EventTypes: []string{"grant.*"}, Description: &description,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if sub.URL != url || sub.Status != webhook.Active || sub.Description != "moved" || sub.EventTypes[0] != "grant.*" || sub.Ordered {
		t.Errorf("updated: %+v", sub)
	}
	if p := w.next(posts); !strings.Contains(string(p.body), "pay_1") {
		t.Errorf("delivered %s", p.body)
	}
}

func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.subscribe("http://127.0.0.1:1/", false, "*")
	foreign := *w
	foreign.tenant = w.merchant("mer_2")
	s, inside := w.service(), "http://10.0.0.1/hook"
	for name, c := range map[string]struct {
		call *app.Call
		in   uses.UpdateInput
		code fault.Code
	}{
		"unknown":         {w.call(), uses.UpdateInput{SubscriptionID: "whs_none"}, fault.CodeNotFound},
		"another's":       {foreign.call(), uses.UpdateInput{SubscriptionID: id}, fault.CodeNotFound},
		"private address": {w.call(), uses.UpdateInput{SubscriptionID: id, Change: webhook.Change{URL: &inside}}, fault.CodeValidationFailed},
		"unknown type":    {w.call(), uses.UpdateInput{SubscriptionID: id, Change: webhook.Change{EventTypes: []string{"coffee.*"}}}, fault.CodeValidationFailed},
	} {
		if _, err := s.Update(t.Context(), c.call, c.in); !fault.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if _, err := s.Rotate(t.Context(), foreign.call(), id); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("rotating another's secret: %v", err)
	}
}

// deliver publishes events and waits until each was posted and recorded.
func (w *world) deliver(posts chan post, subjects ...string) []webhook.Delivery {
	w.t.Helper()
	for _, subject := range subjects {
		w.publish(w.event("payment.succeeded", subject))
		w.next(posts)
	}
	var page uses.Page[webhook.Delivery]
	eventually(w.t, func() bool {
		var err error
		page, err = w.service().Deliveries(w.t.Context(), w.call(), uses.DeliveriesInput{State: "delivered"})
		return err == nil && len(page.Items) == len(subjects)
	})
	return page.Items
}

func subjectOf(t *testing.T, p post) string {
	t.Helper()
	var got struct{ Subject string }
	if err := json.Unmarshal(p.body, &got); err != nil {
		t.Fatal(err)
	}
	return got.Subject
}

// One delivery goes out again, although it arrived; the others do not.
func TestRetryOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(nil)
	w.subscribe(url, false, "*")
	w.server("a", nil)
	done := w.deliver(posts, "pay_1", "pay_2")
	first := done[1] // latest first
	got, err := w.service().Retry(t.Context(), w.call(), uses.RetryInput{DeliveryID: first.ID})
	if err != nil || got.Count != 1 {
		t.Fatalf("requeued %d, %v", got.Count, err)
	}
	if d := got.Delivery; d.ID != first.ID || d.State != webhook.Retrying || d.DueAt == nil || d.DeliveredAt != nil || len(d.Attempts) != 1 {
		t.Errorf("the delivery is now %+v", got.Delivery)
	}
	if s := subjectOf(t, w.next(posts)); s != "pay_1" {
		t.Errorf("posted %s again", s)
	}
	eventually(t, func() bool {
		d, err := w.service().UoW.Read().Webhooks.Delivery(t.Context(), w.tenant, first.ID)
		return err == nil && d.State == webhook.Delivered && len(d.Attempts) == 2
	})
}

// A range is the delivery named and every later one of its subscription that
// was made before the end of the range.
func TestRetryRange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(nil)
	w.subscribe(url, true, "*")
	w.server("a", nil)
	done := w.deliver(posts, "pay_1", "pay_2", "pay_3", "pay_4")
	until := done[0].CreatedAt // pay_4 itself is out of the range
	got, err := w.service().Retry(t.Context(), w.call(), uses.RetryInput{DeliveryID: done[2].ID, Until: &until})
	if err != nil || got.Count != 2 {
		t.Fatalf("requeued %d, %v; want pay_2 and pay_3", got.Count, err)
	}
	seen := map[string]bool{subjectOf(t, w.next(posts)): true, subjectOf(t, w.next(posts)): true}
	if !seen["pay_2"] || !seen["pay_3"] {
		t.Errorf("posted %v again", seen)
	}
}

// A parked delivery that is sent again by hand has a day of tries before it: a
// first failure neither parks it nor disables the subscription.
func TestRetryOfAnOldDeliveryBeginsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(func(n int) int {
		if n == 2 {
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	})
	w.subscribe(url, false, "*")
	w.server("a", nil)
	old := w.deliver(posts, "pay_1")[0]
	if _, err := w.db.Q().Exec(t.Context(), `update webhook_deliveries set state = 3, created_at = created_at - interval '3 days'`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service().Retry(t.Context(), w.call(), uses.RetryInput{DeliveryID: old.ID}); err != nil {
		t.Fatal(err)
	}
	w.next(posts) // fails
	w.next(posts) // is tried again by itself
}

func TestRetryRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url, posts := w.recorder(nil)
	id := w.subscribe(url, false, "*")
	stop := w.server("a", nil)
	d := w.deliver(posts, "pay_1")[0]
	stop()
	foreign := *w
	foreign.tenant = w.merchant("mer_2")
	s := w.service()
	retry := func(c *app.Call, id string, want fault.Code) {
		t.Helper()
		if _, err := s.Retry(t.Context(), c, uses.RetryInput{DeliveryID: id}); !fault.Is(err, want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	retry(w.call(), "dlv_none", fault.CodeNotFound)
	retry(foreign.call(), d.ID, fault.CodeNotFound)
	if _, err := w.db.Q().Exec(t.Context(), fmt.Sprintf(`update webhook_subscriptions set status = 'disabled' where subscription_id = '%s'`, id)); err != nil {
		t.Fatal(err)
	}
	retry(w.call(), d.ID, fault.CodeStateConflict)
	if _, err := s.Delete(t.Context(), w.call(), id); err != nil {
		t.Fatal(err)
	}
	retry(w.call(), d.ID, fault.CodeStateConflict)
}
