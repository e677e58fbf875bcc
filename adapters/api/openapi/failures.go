package openapi

import (
	"slices"

	"github.com/feddi/feddi/core/fault"
)

// failureExamples are an example of each code that the document names, by code.
func (w *writer) failureExamples() object {
	var codes []string
	for code := range w.named {
		codes = append(codes, string(code))
	}
	slices.Sort(codes)
	out := object{}
	for _, code := range codes {
		meaning := fault.MeaningOf(fault.Code(code))
		out = out.with(code, object{{"summary", meaning.What}, {"value", w.failureExample(fault.Code(code), meaning)}})
	}
	return out
}

func (w *writer) failureExample(code fault.Code, meaning fault.Meaning) object {
	details := []object{}
	if d, ok := faults[code]; ok {
		details = append(details, object{{"field", d[0]}, {"rule", d[1]}, {"message", meaning.What}})
	}
	failed := object{{"code", code}, {"message", meaning.What}, {"retryable", meaning.Retryable}, {"details", details}}
	meta := object{{"api_version", w.Version}, {"request_id", "req_01ka2m8x4vq3t5n7c9d1f3h5k7"}, {"idempotency_replayed", false}}
	if code == fault.CodeInsufficientFunds {
		failed = failed.with("recovery", recoveryExample)
		meta = meta.with("decision_trace_id", "dt_01ka2m8x4wj2r4t6v8x0z2b4d6")
	}
	return object{{"ok", false}, {"data", nil}, {"error", failed}, {"meta", meta}}
}

// faults are the field and rule that the examples of some codes name.
var faults = map[fault.Code][2]string{
	fault.CodeValidationFailed:          {"amount_minor", "int64.gte"},
	fault.CodeUnsupportedAPIVersion:     {"meta.api_version", "supported"},
	fault.CodeIdempotencyKeyMissing:     {"Idempotency-Key", "required"},
	fault.CodeIdempotencyKeyInvalid:     {"Idempotency-Key", "uuid"},
	fault.CodeUnsupportedCredentialType: {"credential.credential_type", "supported"},
	fault.CodeUnsupportedCurrency:       {"currency", "enabled"},
	fault.CodeCursorInvalid:             {"cursor", "issued_here"},
	fault.CodeMerchantNotAuthorized:     {"context.merchant_id", "authorized"},
	fault.CodeNotFound:                  {"customer", "exists"},
	fault.CodeInsufficientFunds:         {"amount_minor", "spendable"},
}

// recoveryExample is what a guest who is 11.75 short is offered.
var recoveryExample = object{
	{"shortfall_minor", 1175},
	{"spendable", object{{"actual_minor", 0}, {"promo_available_minor", 0}}},
	{"options", []object{
		{
			{"type", "topup_exact"},
			{"topup_minor", 1175},
			{"bonus_minor", 0},
			{"balance_after", object{{"actual_minor", 0}, {"promo_available_minor", 0}}},
			{"summary", "Top up 11.75 USD and pay"},
		},
		{
			{"type", "split_tender"},
			{"wallet_minor", 0},
			{"other_minor", 1175},
			{"summary", "Pay 11.75 USD another way"},
		},
	}},
}

// exampleNames refers to the examples of codes.
func (w *writer) exampleNames(codes []fault.Code) object {
	out := object{}
	for _, code := range codes {
		w.named[code] = true
		out = out.with(string(code), object{{"$ref", "#/components/examples/" + string(code)}})
	}
	return out
}
