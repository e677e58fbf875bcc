package checkout_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
)

func TestATillEventSaysWhatItsTypeNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	const offer, trace, tender, prompt, data = "offer_id", "decision_trace_id", "tender_type", "prompt", "data"
	every := []string{offer, trace, tender, prompt}
	needs := map[checkout.TillEventType][]string{
		checkout.OfferShown: {offer}, checkout.OfferDeclined: {offer}, checkout.TenderChosen: {tender},
		checkout.PromptShown: {prompt}, checkout.PromptSkipped: {prompt}, checkout.RecoveryShown: {}, checkout.RecoveryDeclined: {},
	}
	takes := map[checkout.TillEventType][]string{
		checkout.OfferShown: {trace}, checkout.OfferDeclined: {trace}, checkout.RecoveryShown: {trace}, checkout.RecoveryDeclined: {trace},
	}
	set := func(e *checkout.TillEvent, field string) {
		switch field {
		case offer:
			e.OfferID = "off_1"
		case trace:
			e.TraceID = "dt_1"
		case tender:
			e.TenderType = "cash"
		case prompt:
			e.Prompt = "enroll"
		}
	}
	fields := func(e checkout.TillEvent) (out []string) {
		if err := e.Validate(); err != nil {
			if !fault.Is(err, fault.CodeValidationFailed) {
				t.Errorf("%+v: %v", e, err)
			}
			for _, d := range fault.As(err).Details {
				out = append(out, d.Field)
			}
		}
		return out
	}
	for kind, needed := range needs {
		for mask := range 1 << len(every) {
			e := checkout.TillEvent{Type: kind}
			var want []string
			for i, field := range every {
				given := mask&(1<<i) != 0
				if given {
					set(&e, field)
				}
				if given && !slices.Contains(needed, field) && !slices.Contains(takes[kind], field) || !given && slices.Contains(needed, field) {
					want = append(want, field)
				}
			}
			if got := fields(e); !slices.Equal(got, want) {
				t.Errorf("%+v: at fault %v, want %v", e, got, want)
			}
		}
	}
	for raw, wrong := range map[string]bool{
		`{}`: false, `{"basket":"b-12","at":"2026-06-12T08:00:00+02:00","n":12.5,"minus":-14155550123}`: false,
		`{"who":"+14155550123"}`: true, `{"who":"+1 (415) 555-0123"}`: true, `{"who":"ann@example.com"}`: true,
		`{"x":"` + strings.Repeat("y", checkout.MaxTillData) + `"}`: true,
	} {
		got := fields(checkout.TillEvent{Type: checkout.RecoveryShown, Data: json.RawMessage(raw)})
		if want := map[bool][]string{true: {data}}[wrong]; !slices.Equal(got, want) {
			t.Errorf("%.60s: at fault %v, want %v", raw, got, want)
		}
	}
}

func TestATillEventLiesInItsSession(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 6, 12, 8, 0, 0, 0, time.UTC)
	now := opened.Add(10 * time.Minute)
	for at, good := range map[time.Duration]bool{
		-5*time.Minute - 1: false, -5 * time.Minute: true, 0: true, 10 * time.Minute: true, 15 * time.Minute: true, 15*time.Minute + 1: false,
	} {
		err := checkout.TillEvent{OccurredAt: opened.Add(at)}.Within(checkout.Session{OpenedAt: opened}, now)
		if (err == nil) != good || err != nil && fault.As(err).Details[0].Field != "occurred_at" {
			t.Errorf("%v after the opening: %v", at, err)
		}
	}
}
