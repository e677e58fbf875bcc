// Package record keeps a decision in few bytes: who planned, the facts, and the
// plan that was proven. What is read is what was written, to the last byte of
// each document: planning the snapshot again gives the same record.
//
// Its form, in the order of write.go and read.go, without padding:
//
//   - a byte that names the form. '{' is the JSON of Decision, as it was written
//     before there was another.
//   - a number is a varint, zigzag where it has a sign; a list is its length and
//     its elements.
//   - a time is its nanoseconds and one, then its seconds since 1970 (UTC); a
//     single zero is none.
//   - a text is twice its length, then its bytes; or twice its number and one,
//     where it is a word or came before. Each new text gets the next number, as
//     long as there are fewer than names; those of lots are counted apart.
//   - a document is its length and its bytes.
//
// A new member of a snapshot or a plan needs a form of its own; the old ones stay
// readable. A test finds a member that is not written.
package record

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/feddi/feddi/core/actuation"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/tenancy"
)

// The first byte of a record.
const (
	formJSON   = '{'
	formBinary = 1
)

// names is how many texts have a number: a search among them costs next to nothing.
const names = 64

// words are the texts that have a number from the start. They belong to
// formBinary: changing them needs another form.
var words = [...]string{
	string(actuation.KindWalletDebit), string(actuation.EffectDebit), string(money.Actual), string(money.Promo),
	string(tenancy.Sandbox), string(tenancy.Production), "wallet", "wallet.promo_first",
}

// Decision is who planned what, on which facts.
type Decision struct {
	Actuator string             `json:"actuator"` // name
	Version  string             `json:"version"`
	Snapshot actuation.Snapshot `json:"snapshot"`
	// Plan is proven: it has no failure.
	Plan actuation.Plan `json:"plan"`
}

// errTorn is what is wrong with bytes that no decision was written as.
var errTorn = errors.New("the record is torn")

// Read reads what Append wrote, or the JSON of before.
func Read(raw []byte) (Decision, error) {
	switch {
	case len(raw) == 0:
		return Decision{}, fmt.Errorf("read a decision: %w: it is empty", errTorn)
	case raw[0] == formJSON:
		var d Decision
		if err := json.Unmarshal(raw, &d); err != nil {
			return Decision{}, fmt.Errorf("read a decision: %w", err)
		}
		return d, nil
	case raw[0] != formBinary:
		return Decision{}, fmt.Errorf("read a decision: form %d is not known to this version of the program", raw[0])
	}
	r := reader{rest: raw[1:], numbered: words[:len(words):len(words)]}
	d := r.decision()
	if r.torn || len(r.rest) > 0 {
		return Decision{}, fmt.Errorf("read a decision: %w", errTorn)
	}
	return d, nil
}

// Like writes d in the form that stored has, so that the two can be compared.
func (d *Decision) Like(stored []byte) ([]byte, error) {
	if len(stored) > 0 && stored[0] == formJSON {
		return json.Marshal(d)
	}
	return d.Append(nil), nil
}
