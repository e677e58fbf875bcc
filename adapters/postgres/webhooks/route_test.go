package webhooks_test

import (
	"strings"
	"testing"

	"github.com/feddi/feddi/adapters/postgres/events"
	"github.com/feddi/feddi/adapters/postgres/pgtest"
	"github.com/feddi/feddi/adapters/postgres/webhooks"
)

// Who gets an event is read by index, also by a plan that was made on empty tables.
func TestRouteReadsByIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Q().Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	tail, err := events.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	plan := pgtest.Plan(t, tail.Q(), webhooks.RouteStatement)
	for _, index := range []string{"webhook_subscriptions_tenant", "webhook_deliveries_subscription_id_event_xid_event_position_key"} {
		if !strings.Contains(plan, index) {
			t.Errorf("not by %s:\n%s", index, plan)
		}
	}
	if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
		t.Error(plan)
	}
}
