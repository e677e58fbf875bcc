package returns_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/returns"
)

// A void is for the merchant's business day, the calendar day in its time zone.
func TestVoidIsOfTheSameBusinessDay(t *testing.T) {
	t.Parallel()
	doha := time.FixedZone("Asia/Qatar", 3*60*60)
	taken := time.Date(2026, 6, 12, 20, 30, 0, 0, time.UTC) // 23:30 in Doha
	p := ledger.Payment{Status: ledger.PaymentSucceeded, AmountMinor: 5, CapturedAt: &taken}
	if err := returns.Voidable(p, taken.Add(29*time.Minute), doha); err != nil {
		t.Errorf("on the same day: %v", err)
	}
	err := returns.Voidable(p, taken.Add(30*time.Minute), doha)
	if !fault.Is(err, fault.CodeStateConflict) || !strings.Contains(err.Error(), "/refund/create") {
		t.Errorf("on the next day in Doha: %v", err)
	}
	if err := returns.Voidable(p, taken.Add(30*time.Minute), time.UTC); err != nil {
		t.Errorf("on the same day in UTC: %v", err)
	}
	for status, code := range map[ledger.PaymentStatus]fault.Code{
		ledger.PaymentVoided: fault.CodeStateConflict, ledger.PaymentFailed: fault.CodeStateConflict, ledger.PaymentRequiresCapture: fault.CodeStateConflict,
		ledger.PaymentRefunded: fault.CodeStateConflict, ledger.PaymentPartiallyRefunded: fault.CodeStateConflict,
	} {
		p.Status = status
		if err := returns.Voidable(p, taken, doha); !fault.Is(err, code) {
			t.Errorf("%s: %v", status, err)
		}
	}
}

// The event of a return has what every event of a payment has, and amounts stay
// exact.
func TestEvent(t *testing.T) {
	t.Parallel()
	p := ledger.Payment{ID: "pay_1", Status: ledger.PaymentSucceeded, AmountMinor: 1_000_000_000_000, EntryID: "ent_1", Debit: ledger.Debit{ActualMinor: 1_000_000_000_000}}
	p = returns.After(p, ledger.EntryRefund, 999_999_999_999)
	r := returns.Return{ID: "ref_1", Kind: ledger.EntryRefund, AmountMinor: 999_999_999_999, ActualMinor: 999_999_999_999, EntryID: "ent_2"}
	e, err := r.Event("evt_1", p)
	if err != nil || e.Type != "payment.refunded" || p.Status != ledger.PaymentPartiallyRefunded {
		t.Fatalf("%+v, %v", e, err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"payment_id": `"pay_1"`, "status": `"partially_refunded"`, "amount_minor": "1000000000000", "refunded_minor": "999999999999",
		"restored_actual_minor": "999999999999", "forfeited_promo_minor": "0", "reverses": `"ent_1"`, "cause_id": "null", "restored_sources": "[]",
	} {
		if string(got[name]) != want {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
	p = returns.After(p, ledger.EntryRefund, 1)
	if p.Status != ledger.PaymentRefunded || returns.After(p, ledger.EntryVoid, 0).Status != ledger.PaymentVoided {
		t.Errorf("status %s", p.Status)
	}
}
