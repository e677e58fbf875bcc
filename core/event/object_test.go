package event_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/feddi/feddi/core/event"
)

// TestObjectIsWhatEncodingJSONReads: whatever the values, the object is that of
// encoding/json; where nothing in it has an escape for HTML, byte for byte.
func TestObjectIsWhatEncodingJSONReads(t *testing.T) {
	t.Parallel()
	type part struct {
		ID string `json:"id"`
		N  int64  `json:"n"`
	}
	type whole struct {
		Text     string     `json:"text"`
		Optional *string    `json:"optional"`
		Number   int64      `json:"number"`
		Bool     bool       `json:"bool"`
		At       *time.Time `json:"at"`
		Parts    []part     `json:"parts"`
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[ -%'-;=?-~]*`), rapid.SampledFrom([]string{"", `"`, `\`, "ü", "\n", "\x7f", "\u2028", "\xff"}))
		w := whole{Text: text.Draw(t, "text"), Number: rapid.Int64().Draw(t, "number"), Bool: rapid.Bool().Draw(t, "bool"), Parts: []part{}}
		optional := text.Draw(t, "optional")
		if optional != "" {
			w.Optional = &optional
		}
		if rapid.Bool().Draw(t, "dated") {
			at := time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "at")).UTC()
			w.At = &at
		}
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			w.Parts = append(w.Parts, part{text.Draw(t, "id"), rapid.Int64().Draw(t, "n")})
		}
		o := event.NewObject(8)
		o.Text("text", w.Text)
		o.Optional("optional", optional)
		o.Number("number", w.Number)
		o.Bool("bool", w.Bool)
		o.Instant("at", w.At)
		o.List("parts", len(w.Parts), func(o *event.Object, i int) {
			o.Text("id", w.Parts[i].ID)
			o.Number("n", w.Parts[i].N)
		})
		want, err := json.Marshal(w)
		if got := o.Close(); err != nil || string(got) != string(want) {
			t.Fatalf("%v\n%s\n%s", err, got, want)
		}
	})
	if got := string(event.NewObject(0).Close()); got != "{}" {
		t.Error(got)
	}
}

// BenchmarkObject is the data of a payment's event.
func BenchmarkObject(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		o := event.NewObject(512)
		for range 8 {
			o.Text("payment_id", "pay_01k9z3v7qe0000000000000001")
		}
		o.Number("amount_minor", 1175)
		_ = o.Close()
	}
}
