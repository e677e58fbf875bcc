package record_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/actuation/record"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 123456000, time.UTC)

// payment is the decision of a payment from so many lots and the balance.
func payment(lots int) record.Decision {
	d := record.Decision{Actuator: "wallet", Version: "1.0.0"}
	d.Snapshot = actuation.Snapshot{
		ID: "pay_01k9z3v7qe0000000000000001", Kind: actuation.KindWalletDebit, PartnerID: "par_01k9z3v7qe0000000000000002",
		MerchantID: "mer_01k9z3v7qe0000000000000003", Mode: "production", CustomerID: "cus_01k9z3v7qe0000000000000004",
		SessionID: "cs_01k9z3v7qe0000000000000005", Currency: "USD", At: noon, AmountMinor: 1175,
		Wallet: actuation.Wallet{ActualMinor: 2500, PromoAvailableMinor: int64(250 * lots), Verified: true},
	}
	d.Plan = actuation.Plan{SnapshotID: d.Snapshot.ID, Reasoning: actuation.Reasoning{
		Summary: "Paid 11.75 USD: 2.50 USD from promotional credit, earliest expiry first, then 9.25 USD from the balance.",
		Rule:    "wallet.promo_first", Facts: json.RawMessage(`{"debited_promo_minor":250,"debited_actual_minor":925,"lots_used":1}`),
	}}
	for i := range lots {
		id := fmt.Sprintf("grt_01k9z3v7qe%016d", i)
		d.Snapshot.Lots = append(d.Snapshot.Lots, actuation.Lot{
			GrantID: id, RemainingMinor: 250, ExpiresAt: noon.Add(time.Duration(i) * time.Hour), IssuedAt: noon.Add(-time.Hour),
		})
		d.Plan.Effects = append(d.Plan.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: "promo", AmountMinor: 250, Currency: "USD", GrantID: id})
	}
	d.Plan.Effects = append(d.Plan.Effects, actuation.Effect{Kind: actuation.EffectDebit, Class: "actual", AmountMinor: 925, Currency: "USD"})
	return d
}

func same(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, d record.Decision, raw []byte,
) {
	t.Helper()
	got, err := record.Read(raw)
	if err != nil {
		t.Fatalf("%v\n%x", err, raw)
	}
	if !reflect.DeepEqual(got, d) {
		t.Fatalf("wrote %+v\nread  %+v", d, got)
	}
	if again := got.Append(nil); raw[0] != '{' && !bytes.Equal(again, raw) {
		t.Fatalf("wrote %x\nagain %x", raw, again)
	}
}

// TestEveryMemberComesBack fills whatever members a decision has, by reflection:
// one that is added to a snapshot or a plan and not written is found here.
func TestEveryMemberComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var d record.Decision
		fill(t, reflect.ValueOf(&d).Elem())
		if len(d.Plan.Effects) > 0 && len(d.Snapshot.Lots) > 0 { // and some debits know their lot
			for i := range d.Plan.Effects {
				if rapid.Bool().Draw(t, "of a lot") {
					d.Plan.Effects[i].GrantID = rapid.SampledFrom(d.Snapshot.Lots).Draw(t, "lot").GrantID
				}
			}
		}
		same(t, d, d.Append(nil))
		if got := d.Append([]byte("before")); !bytes.Equal(got, append([]byte("before"), d.Append(nil)...)) {
			t.Fatalf("%x", got)
		}
	})
}

// fill draws a value for everything that is exported and kept.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(-1<<36, 1<<36).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()))
		}
		return
	case json.RawMessage:
		if text := rapid.SampledFrom([]string{"", "{}", `{"a": "<b>"}`, `{"ü":[1,2.50]}`}).Draw(t, "document"); text != "" {
			v.SetBytes([]byte(text))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fill(t, v.Field(i))
			}
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 4).Draw(t, "length"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.SampledFrom([]string{"", "wallet", "USD", "promo", "pay_1"}), rapid.StringN(0, 40, -1)).Draw(t, "text"))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "number"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	default:
		t.Fatalf("fill knows no %s", v.Type())
	}
}

func TestMoreTextsThanNumbers(t *testing.T) {
	t.Parallel()
	d := payment(1)
	for i := range 200 {
		d.Snapshot.Allowance.Sources = append(d.Snapshot.Allowance.Sources, fmt.Sprint("S", i))
	}
	for i := range 200 {
		d.Snapshot.Allowance.Budgets = append(d.Snapshot.Allowance.Budgets, actuation.Budget{BudgetID: fmt.Sprint("S", 199-i)})
	}
	same(t, d, d.Append(nil))
}

func TestDebitsOutOfTheOrderOfTheLots(t *testing.T) {
	t.Parallel()
	d := payment(5)
	e := d.Plan.Effects
	e[0], e[1], e[4], e[5] = e[4], e[0], e[5], e[1]
	e[3].GrantID = "another"
	same(t, d, d.Append(nil))
}

// TestTheJSONOfBefore: what was stored before stays readable, and replays to JSON.
func TestTheJSONOfBefore(t *testing.T) {
	t.Parallel()
	d := payment(2)
	before, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	same(t, d, before)
	if like, err := d.Like(before); err != nil || !bytes.Equal(like, before) {
		t.Errorf("%v\n%s\n%s", err, like, before)
	}
	if like, err := d.Like(d.Append(nil)); err != nil || !bytes.Equal(like, d.Append(nil)) {
		t.Errorf("%v: %x", err, like)
	}
}

// TestTheFormStays: what one version wrote, the next ones read. Change neither
// these bytes nor the words; make a new form.
func TestTheFormStays(t *testing.T) {
	t.Parallel()
	const written = "\x01\x0d\x0a1.0.0\x3cpay_01k9z3v7qe0000000000000001\x01\x3cpar_01k9z3v7qe0000000000000002\x3cmer_01k9z3v7qe0000000000000003" +
		"\x0b\x3ccus_01k9z3v7qe0000000000000004\x3acs_01k9z3v7qe0000000000000005\x06USD\x81\x94\xef\x3a\x80\xd1\xeb\xa1\x0d\xae\x12" +
		"\x88\x27\xf4\x03\x01\x01\x1egrt_01k9z3v7qe0000000000000000\xf4\x03\x81\x94\xef\x3a\x80\xd1\xeb\xa1\x0d\x81\x94\xef\x3a\xe0\x98\xeb\xa1\x0d" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x13\x02\x03\x07\xf4\x03\x1d\x01\x00\x00\x00\x00\x00\x03\x05\xba\x0e\x1d\x00\x00\x00\x00\x00\x00\x00" +
		"\x68Paid 11.75 USD: 2.50 USD from promotional credit, earliest expiry first, then 9.25 USD from the balance." +
		"\x0f\x44{\"debited_promo_minor\":250,\"debited_actual_minor\":925,\"lots_used\":1}\x00"
	d := payment(1)
	if got := d.Append(nil); string(got) != written {
		t.Errorf("%q\n%q", got, written)
	}
	same(t, d, []byte(written))
}

// TestTornRecords: no bytes make it panic, allocate without measure, or give half
// a decision.
func TestTornRecords(t *testing.T) {
	t.Parallel()
	d := payment(3)
	whole := d.Append(nil)
	for n := range whole {
		if _, err := record.Read(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were read", n, len(whole))
		}
	}
	for _, raw := range []string{"", "[]", "{", "\x02", string(whole) + "\x00"} {
		if _, err := record.Read([]byte(raw)); err == nil {
			t.Errorf("%q was read", raw)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		torn := bytes.Clone(whole)
		for range rapid.IntRange(1, 4).Draw(t, "errors") {
			torn[rapid.IntRange(1, len(torn)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if got, err := record.Read(torn); err == nil {
			same(t, got, got.Append(nil))
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, lots := range []int{0, 2, 5, 200} {
		d := payment(lots)
		raw, err := json.Marshal(d)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint("lots=", lots, "/form=json"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = json.Marshal(d)
			}
			b.ReportMetric(float64(len(raw)), "bytes")
		})
		b.Run(fmt.Sprint("lots=", lots, "/form=binary"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = d.Append(nil)
			}
			b.ReportMetric(float64(len(d.Append(nil))), "bytes")
		})
	}
}
