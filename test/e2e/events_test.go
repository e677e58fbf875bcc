package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/feddi/feddi/test/e2e/internal/hook"
	"github.com/feddi/feddi/test/e2e/internal/shape"
)

// listen subscribes a receiver of the test's own to what the golden path names.
func (c *coffee) listen() *hook.Receiver {
	c.t.Helper()
	r := hook.Listen()
	c.t.Cleanup(r.Close)
	a := c.step("createSubscription", http.StatusCreated, request{path: "/webhooks/subscriptions", as: c.key, body: object{
		"url": r.URL(), "event_types": []string{"payment.*", "transaction.created", "grant.*"},
	}})
	c.is(a, "subscription", `{"subscription_id":"$id:whs_","secret":"$string","status":"active","url":"`+r.URL()+`","event_types":["payment.*","transaction.created","grant.*"]}`)
	if err := r.Trust(a.text("data.secret")); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// The events of a golden path, in the order in which they happened. A close
// commits its events together.
var coffeeEvents = []string{
	"checkout.session.opened", "enrollment.initiated", "enrollment.verified", "checkout.session.identified",
	"checkout.session.basket_revised", "decision.made", "offer.applied", "payment.failed",
	"topup.prepared", "topup.completed", "grant.released", "payment.succeeded", "grant.spent", "grant.released",
	"offer.redeemed", "decision.made", "transaction.created", "checkout.session.closed",
}

// heard are those of them that the subscription asks for.
func heard(types []string) (out []string) {
	for _, name := range types {
		if name == "transaction.created" || len(name) > 6 && (name[:6] == "grant." || name[:8] == "payment.") {
			out = append(out, name)
		}
	}
	return out
}

// Whatever happens is heard once, signed, and read again in order by polling.
func TestEventsOfTheGoldenPath(t *testing.T) {
	t.Parallel()
	c := begin(t)
	r := c.listen()
	c.walk()
	expected := heard(coffeeEvents)
	slices.Sort(expected)
	eventually(t, func() error {
		got, refused := r.Got()
		if len(refused) > 0 {
			t.Fatalf("a delivery was not verifiable: %v", refused)
		}
		if len(got) < len(expected) {
			return fmt.Errorf("%d of %d deliveries arrived", len(got), len(expected))
		}
		return nil
	})
	got, _ := r.Got()
	var types []string
	for _, d := range got {
		types = append(types, d.Type)
	}
	slices.Sort(types)
	if !slices.Equal(types, expected) {
		t.Errorf("deliveries %v\nwant %v", types, expected)
	}
	c.polled(got)
	c.delivered(len(expected))
}

// polled compares the event log with what was delivered.
func (c *coffee) polled(got []hook.Delivery) {
	c.t.Helper()
	log := map[string]any{}
	var types []string
	for _, e := range c.events() {
		want(c.t, "event", `{"type":"$string","id":"$id:evt_","timestamp":"$time","api_version":"2026-06-01","data":{},"merchant_id":"`+c.made.text("data.merchant_id")+`"}`, e)
		id, _ := shape.At(e, "id").(string)
		kind, _ := shape.At(e, "type").(string)
		log[id] = e
		types = append(types, kind)
	}
	// A sandbox begins with the enrolment of its seeded guest and its offers.
	if i := slices.Index(types, coffeeEvents[0]); i < 0 || !slices.Equal(types[i:], coffeeEvents) {
		c.t.Errorf("the log reads %v\nwant %v at its end", types, coffeeEvents)
	}
	for _, d := range got {
		raw, err := json.Marshal(log[d.ID])
		if err != nil {
			c.t.Fatal(err)
		}
		var polled hook.Delivery
		if err := json.Unmarshal(raw, &polled); err != nil {
			c.t.Fatal(err)
		}
		if d.Type != polled.Type || !d.Timestamp.Equal(polled.Timestamp) || d.Version != version || !sameJSON(d.Data, polled.Data) {
			c.t.Errorf("delivered %+v\npolled %+v", d, polled)
		}
		if d.MessageID != d.ID {
			c.t.Errorf("webhook-id is %s, the event's id %s", d.MessageID, d.ID)
		}
	}
	c.figures(log)
}

// figures are the amounts that the events of a coffee carry.
func (c *coffee) figures(log map[string]any) {
	c.t.Helper()
	for _, e := range log {
		switch shape.At(e, "type") {
		case "payment.succeeded":
			want(c.t, "payment.succeeded", `{"payment_id":"`+c.payment+`","customer_id":"`+c.guest.id+`","session_id":"`+c.session+`",
				"amount_minor":1175,"debited_promo_minor":250,"debited_actual_minor":925,"currency":"USD"}`, shape.At(e, "data"))
		case "payment.failed":
			want(c.t, "payment.failed", `{"customer_id":"`+c.guest.id+`","amount_minor":1175,"debited_promo_minor":0,"debited_actual_minor":0,"currency":"USD"}`, shape.At(e, "data"))
		case "transaction.created":
			want(c.t, "transaction.created", `{"transaction_id":"`+c.transaction+`","customer_id":"`+c.guest.id+`","session_id":"`+c.session+`","total_minor":1175,"currency":"USD"}`, shape.At(e, "data"))
		case "topup.completed":
			want(c.t, "topup.completed", `{"topup_id":"`+c.topup+`","customer_id":"`+c.guest.id+`","amount_minor":2500}`, shape.At(e, "data"))
		}
	}
}

// delivered reads the delivery history.
func (c *coffee) delivered(n int) {
	c.t.Helper()
	eventually(c.t, func() error {
		a := c.manage("/webhooks/deliveries?state=delivered&limit=200", nil)
		list, _ := a.at("data.deliveries").([]any)
		if len(list) != n {
			return fmt.Errorf("%d deliveries are recorded, want %d", len(list), n)
		}
		for _, d := range list {
			want(c.t, "delivery", `{"delivery_id":"$string","state":"delivered","attempts_count":1,"attempts":[{"status_code":200}]}`, d)
		}
		return nil
	})
}

func sameJSON(a, b json.RawMessage) bool {
	x, errX := shape.Decode(a)
	y, errY := shape.Decode(b)
	raw, errZ := json.Marshal(y)
	return errX == nil && errY == nil && errZ == nil && len(shape.Diff(string(raw), x)) == 0
}

// An event reaches its subscriber in less than 100 ms, by the median. Not
// parallel: the figure is about the way, not about the load of other tests.
func TestEventsArriveSoon(t *testing.T) {
	c := begin(t)
	r := c.listen()
	g := c.verified("+14155550123")
	const topups = 15 // each releases a bonus
	for i := range topups {
		c.fund(g, 1000)
		eventually(t, func() error {
			if got, _ := r.Got(); len(got) <= i {
				return fmt.Errorf("%d events arrived", len(got))
			}
			return nil
		})
	}
	got, refused := r.Got()
	if len(got) != topups || len(refused) > 0 {
		t.Fatalf("%d deliveries, %d refused", len(got), len(refused))
	}
	var took []time.Duration
	for _, d := range got {
		took = append(took, d.Took)
	}
	slices.Sort(took)
	t.Logf("event to subscriber: median %s, slowest %s", took[len(took)/2], took[len(took)-1])
	if median := took[len(took)/2]; median >= 100*time.Millisecond {
		t.Errorf("the median is %s", median)
	}
}

// A subscription sees its own sandbox only.
func TestEventsOfOthersAreNotHeard(t *testing.T) {
	t.Parallel()
	c, other := begin(t), open(t)
	r := c.listen()
	other.fund(other.verified("+14155550124"), 1000)
	c.fund(c.verified("+14155550123"), 2500)
	eventually(t, func() error {
		if got, _ := r.Got(); len(got) == 0 {
			return fmt.Errorf("nothing arrived")
		}
		return nil
	})
	mine := map[string]bool{}
	for _, e := range c.events() {
		id, _ := shape.At(e, "id").(string)
		mine[id] = true
	}
	got, _ := r.Got()
	for _, d := range got {
		if !mine[d.ID] {
			t.Errorf("the subscriber heard of another sandbox: %+v", d)
		}
	}
}
