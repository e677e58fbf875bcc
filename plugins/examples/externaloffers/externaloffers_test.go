package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/plugins/sdk"
	"github.com/feddi/feddi/plugins/sdk/sdktest"
)

var (
	now = time.Date(2026, 6, 1, 9, 30, 0, 0, time.UTC)

	// menu is what the merchant's service answers.
	menu = `{"offers":[
		{"id":"o1","title":"Breakfast","sku":"CROISSANT","min_total_minor":500,"gift_minor":100,"expiry_days":30},
		{"id":"o2","title":"Big spender","min_total_minor":2000,"gift_minor":300},
		{"id":"o3","title":"Thanks","gift_minor":50}]}`
)

// service is the merchant's own: a real server.
func service(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func command(url string) sdk.Command {
	set, _ := json.Marshal(map[string]any{"url": url})
	return sdk.Command{IdempotencyKey: "cmd_1", Kind: refresh, Attempt: 1, Settings: set}
}

func sale(total int64, age time.Duration, sku string) sdk.Snapshot {
	return sdk.Snapshot{
		ID: fmt.Sprintf("sale-%d-%d", total, age), Kind: sdk.KindUpsell, CustomerID: "cus_1", Currency: "USD", At: now, AmountMinor: total,
		Allowance: sdk.Allowance{MaxGrantMinor: total, Sources: []string{"OFFER"}},
		Settings:  json.RawMessage(`{"url":"https://offers.example.com"}`), Facts: json.RawMessage(`{"lines":[{"sku":"` + sku + `"}]}`),
		Stored: json.RawMessage(menu), StoredAt: now.Add(-age),
	}
}

// TestConformance runs Feddi's suite: on the value, over gRPC in memory, and on
// a process, each with the service.
func TestConformance(t *testing.T) {
	sdktest.Exercise(t, func() sdk.Actuator { return externaloffers{client: sdk.HTTPClient()} },
		sdktest.Snapshots(sale(900, 0, "CROISSANT"), sale(2500, time.Minute, "X"), sale(600, 2*time.Hour, "X")),
		sdktest.Commands(command(service(t, http.StatusOK, menu))))
}

func TestOffersBecomeFacts(t *testing.T) {
	t.Parallel()
	e := externaloffers{client: sdk.HTTPClient()}
	r, err := e.Execute(t.Context(), command(service(t, http.StatusOK, menu)))
	if err != nil || r.Reference != "3 offers" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, c := range []struct {
		total int64
		sku   string
		says  string
	}{
		{900, "CROISSANT", "Breakfast: 1.00 USD for the next visit."},
		{900, "LATTE", "Thanks: 0.50 USD for the next visit."},
		{2000, "CROISSANT", "Big spender: 3.00 USD for the next visit."},
	} {
		s := sale(c.total, 0, c.sku)
		s.Stored = r.Facts
		if p, err := e.Plan(t.Context(), s); err != nil || p.Reasoning.Summary != c.says {
			t.Errorf("%d of %s: %q, %v; want %q", c.total, c.sku, p.Reasoning.Summary, err, c.says)
		}
	}
}

// TestFailurePolicy: what it does while the service is away, and after that.
func TestFailurePolicy(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]string{0: "", time.Hour: "", 61 * time.Minute: "stale"} {
		if p, err := (externaloffers{}).Plan(t.Context(), sale(900, age, "X")); err != nil || p.Refusal != want {
			t.Errorf("offers of %v: %q, %v; want %q", age, p.Refusal, err, want)
		}
	}
	never := sale(900, 0, "X")
	never.Stored, never.StoredAt = nil, time.Time{}
	if p, err := (externaloffers{}).Plan(t.Context(), never); err != nil || p.Refusal != "not_fetched" {
		t.Errorf("%q, %v", p.Refusal, err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	many := `{"offers":[` + strings.TrimSuffix(strings.Repeat(`{"id":"a","title":"b","gift_minor":1},`, maxOffers+1), ",") + `]}`
	for what, c := range map[string]struct {
		url   string
		code  string
		again bool
	}{
		"down":           {gone.URL, sdk.CodeUnavailable, true},
		"broken":         {service(t, http.StatusInternalServerError, ""), "service_status", true},
		"busy":           {service(t, http.StatusTooManyRequests, ""), "service_status", true},
		"elsewhere":      {service(t, http.StatusNotFound, ""), "service_status", false},
		"no JSON":        {service(t, http.StatusOK, "<html>"), "bad_offers", false},
		"a list":         {service(t, http.StatusOK, "[]"), "bad_offers", false},
		"too many":       {service(t, http.StatusOK, many), "bad_offers", false},
		"too long":       {service(t, http.StatusOK, `{"offers":[]`+strings.Repeat(" ", maxBody)+`}`), "bad_offers", false},
		"a negative one": {service(t, http.StatusOK, `{"offers":[{"id":"a","title":"b","gift_minor":-1}]}`), "bad_offers", false},
		"a control":      {service(t, http.StatusOK, `{"offers":[{"id":"a","title":"b\u0007","gift_minor":1}]}`), "bad_offers", false},
		"no address":     {"http://[", sdk.CodeInvalidSettings, false},
	} {
		_, err := externaloffers{client: sdk.HTTPClient()}.Execute(t.Context(), command(c.url))
		var typed *sdk.Error
		if !errors.As(err, &typed) || typed.Code != c.code || typed.Retryable != c.again {
			t.Errorf("%s: %v, want %s, retryable %v", what, err, c.code, c.again)
		}
	}
}

// TestFactsFit: the most that the service may answer fits into the facts.
func TestFactsFit(t *testing.T) {
	t.Parallel()
	full := stored{}
	for range maxOffers {
		full.Offers = append(full.Offers, offer{
			strings.Repeat("i", maxID), strings.Repeat("t", maxTitle), strings.Repeat("s", maxTitle), 1_000_000_000_000, 1_000_000_000_000, 3650,
		})
	}
	raw, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	offers, err := read(raw)
	if err != nil {
		t.Fatal(err)
	}
	if facts, err := json.Marshal(stored{offers}); err != nil || len(facts) > 16<<10 {
		t.Errorf("%d bytes (%v)", len(facts), err)
	}
}
