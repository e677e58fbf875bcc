package settlement

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/privacy"
)

// Types of the events of settlement.
const (
	EventTopupSettled            = "topup.settled"
	EventSettlementReady         = "settlement.ready"
	EventReconciliationCompleted = "reconciliation.completed"
)

// SettledEvent is the news that d was settled to the bank.
func (d Deposit) SettledEvent(id string, now time.Time) event.Event {
	return event.Event{ID: id, Tenant: d.Tenant, Type: EventTopupSettled, Subject: d.TopupID, At: now, Data: encode(map[string]any{
		"topup_id": d.TopupID, "customer_id": d.CustomerID, "amount_minor": d.AmountMinor, "currency": d.Currency,
		"fee_minor": d.Reported.FeeMinor, "net_minor": d.Reported.NetMinor, "bank_reference": privacy.Opaque(d.Reported.BankReference),
		"provider": optional(d.Provider), "provider_settlement_reference": optional(privacy.Opaque(d.Reference)), "settled_at": d.Reported.SettledAt,
	})}
}

// ReadyEvent is the news that b is complete.
func (b Batch) ReadyEvent(id string, now time.Time) event.Event {
	return event.Event{ID: id, Tenant: b.Tenant, Type: EventSettlementReady, Subject: b.ID, At: now, Data: encode(map[string]any{
		"settlement_id": b.ID, "brand_id": optional(b.BrandID), "currency": b.Currency,
		"period_start": b.PeriodStart, "period_end": b.PeriodEnd, "lines_count": b.LinesCount,
	})}
}

// CompletedEvent is the news that r ended.
func (r Run) CompletedEvent(id string, now time.Time) event.Event {
	return event.Event{ID: id, Tenant: r.Tenant, Type: EventReconciliationCompleted, Subject: r.ID, At: now, Data: encode(map[string]any{
		"run_id": r.ID, "state": string(r.State), "complete": r.Complete, "currency": r.Currency,
		"period_start": r.PeriodStart, "period_end": r.PeriodEnd, "differences_count": r.DifferencesCount,
	})}
}

func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// encode cannot fail: its input is strings, numbers and times.
func encode(v any) json.RawMessage {
	raw, _ := json.Marshal(v)
	return raw
}
