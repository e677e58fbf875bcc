package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// Nobody else checks what these events hold: the payment path's go to the log as
// they are.
func TestEventDataIsAnObject(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 12, 8, 4, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "pay_1", `"session_id":null`, `"session_id":"cs_1"`, "\xff\x00"}))
		word := func(name string) string { return text.Draw(t, name) }
		p := Payment{
			ID: word("payment"), CustomerID: word("customer"), SessionID: word("session"), Currency: word("currency"), CredentialType: word("credential"),
			Place: tenancy.Place{BranchID: word("branch"), TerminalID: word("terminal")}, FailureCode: word("failure"), AmountMinor: rapid.Int64().Draw(t, "amount"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "lots") {
			p.Debit.Sources = append(p.Debit.Sources, PromoSource{GrantID: word("lot"), AmountMinor: rapid.Int64Range(0, 1<<40).Draw(t, "from lot")})
		}
		g := Grant{ID: word("grant"), CustomerID: p.CustomerID, BudgetID: word("budget"), OriginID: word("origin"), Currency: p.Currency, State: ClawedBack, ExpiresAt: &now}
		up := Topup{ID: word("topup"), CustomerID: p.CustomerID, SessionID: p.SessionID, Currency: p.Currency, State: TopupReversed, ReversalReason: word("reason")}
		paid := p.Event("evt_1", EventPaymentSucceeded, now)
		for _, e := range []event.Event{paid, g.Event("evt_2", now, 1), up.Event("evt_3", EventTopupReversed, now)} {
			var members map[string]any
			if err := json.Unmarshal(e.Data, &members); err != nil {
				t.Fatalf("%s: %v", e.Data, err)
			}
		}
		if alone, err := PaidAlone(&paid); err != nil || alone != (p.SessionID == "") {
			t.Fatalf("alone %t, %v: %s", alone, err, paid.Data)
		}
	})
}
