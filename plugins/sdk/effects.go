package sdk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/feddi/feddi/core/money"
)

// DebitActual takes amount minor units of the customer's deposits.
func (s Snapshot) DebitActual(amount int64) Effect {
	return Effect{Kind: EffectDebit, Class: ClassActual, Currency: s.Currency, AmountMinor: amount}
}

// DebitLot takes amount minor units of a promo lot.
func (s Snapshot) DebitLot(l Lot, amount int64) Effect {
	return Effect{Kind: EffectDebit, Class: ClassPromo, Currency: s.Currency, AmountMinor: amount, GrantID: l.GrantID}
}

// Grant issues promo credit that never expires; set ExpiresAt and BudgetID on
// the result where they apply.
func (s Snapshot) Grant(source string, amount int64) Effect {
	return Effect{Kind: EffectGrant, Class: ClassPromo, Currency: s.Currency, AmountMinor: amount, Source: source}
}

// Points gives loyalty points.
func Points(amount int64) Effect {
	return Effect{Kind: EffectPoints, Class: ClassPoints, AmountMinor: amount}
}

// Attribution records what led to the sale; data is a JSON object.
func Attribution(data json.RawMessage) Effect { return Effect{Kind: EffectAttribution, Data: data} }

// Message asks for a message; data is a JSON object.
func Message(data json.RawMessage) Effect { return Effect{Kind: EffectMessage, Data: data} }

// MessageBy asks for a message that Execute sends by a command kind of the
// manifest, once the plan is committed; data is a JSON object, its payload.
func MessageBy(command string, data json.RawMessage) Effect {
	return Effect{Kind: EffectMessage, Data: data, Command: command}
}

// Annotation notes something for the cashier or the profile; data is a JSON
// object.
func Annotation(data json.RawMessage) Effect { return Effect{Kind: EffectAnnotation, Data: data} }

// SpendableLots returns the lots that can be spent at s.At, in the order in
// which they must be: earliest expiry first, never-expiring ones last, then
// oldest first (rule 15). The caller must not change the result.
func (s Snapshot) SpendableLots() []Lot {
	lots := s.Lots
	dead := func(l Lot) bool {
		return l.RemainingMinor <= 0 || (!l.ExpiresAt.IsZero() && !l.ExpiresAt.After(s.At))
	}
	if slices.ContainsFunc(lots, dead) {
		lots = slices.DeleteFunc(slices.Clone(lots), dead)
	}
	if !slices.IsSortedFunc(lots, spendingOrder) {
		lots = slices.Clone(lots)
		slices.SortStableFunc(lots, spendingOrder)
	}
	return lots
}

func spendingOrder(a, b Lot) int {
	switch never := a.ExpiresAt.IsZero(); {
	case never == b.ExpiresAt.IsZero():
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), a.IssuedAt.Compare(b.IssuedAt))
	case never:
		return 1
	default:
		return -1
	}
}

// DecodeSettings reads the merchant's settings into v; absent settings leave v
// as it is. Errors: *Error invalid_settings, to be returned from Plan.
func (s Snapshot) DecodeSettings(v any) error { return decode("settings", s.Settings, v) }

// DecodeFacts reads the facts into v; absent facts leave v as it is. Errors:
// *Error invalid_facts, to be returned from Plan.
func (s Snapshot) DecodeFacts(v any) error { return decode("facts", s.Facts, v) }

// DecodeStored reads the stored facts into v; where there are none yet, v stays
// as it is. Errors: *Error invalid_stored, to be returned from Plan.
func (s Snapshot) DecodeStored(v any) error { return decode("stored", s.Stored, v) }

// DecodePayload reads the payload into v; an absent one leaves v as it is.
// Errors: *Error invalid_payload, to be returned from Execute.
func (c Command) DecodePayload(v any) error { return decode("payload", c.Payload, v) }

// DecodeSettings reads the merchant's settings into v; absent settings leave v
// as it is. Errors: *Error invalid_settings, to be returned from Execute.
func (c Command) DecodeSettings(v any) error { return decode("settings", c.Settings, v) }

func decode(what string, raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &Error{Code: "invalid_" + what, Field: what, Message: fmt.Sprintf("the %s are not what this actuator reads: %v", what, err)}
	}
	return nil
}

// BasisPoints returns amount*bp/10000 rounded down, without overflow; 0 for
// negative input.
func BasisPoints(amount, bp int64) int64 { return money.BasisPoints(amount, bp) }

// Split divides total over weights by largest remainder: the parts sum to total
// exactly. Weights that are all zero put everything on the first part.
func Split(total int64, weights []int64) []int64 { return money.Split(total, weights) }

// Amount writes minor units for people, for example "11.75 USD".
func Amount(minor int64, currency string) string { return string(AppendAmount(nil, minor, currency)) }

// AppendAmount appends what Amount writes, for texts that are put together.
func AppendAmount(b []byte, minor int64, currency string) []byte {
	digits := money.Currency(currency).Exponent()
	if minor < 0 {
		b = append(b, '-')
	}
	start := len(b)
	b = strconv.AppendUint(b, magnitude(minor), 10)
	for len(b)-start <= digits {
		b = slices.Insert(b, start, '0')
	}
	if digits > 0 {
		b = slices.Insert(b, len(b)-digits, '.')
	}
	return append(append(b, ' '), currency...)
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
