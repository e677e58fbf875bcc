// Package till makes the requests of a load: payments, each with a code and an
// Idempotency-Key of its own.
package till

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
)

// Till renders payments: one template for each merchant, one code for each
// request, a fresh Idempotency-Key every time.
type Till struct {
	templates []*load.Template
	// Codes are what is paid with.
	Codes    *stage.Magazine
	at       atomic.Int64
	sessions bool
}

// Marks stand in the templates where a value will; each is as long as it.
var (
	markKey     = strings.Repeat("K", 36)
	markAmount  = "999"
	markCode    = "Q1-" + strings.Repeat("Q", 26)
	markSession = "cs_" + strings.Repeat("S", 26)
)

// New makes a till for the merchants of a stage, which must be signed in.
func New(s *stage.Stage, codes *stage.Magazine, sessions bool, address string) (*Till, error) {
	t := &Till{Codes: codes, sessions: sessions}
	for _, m := range s.Merchants {
		body := fmt.Sprintf(`{"meta":{"api_version":"2026-06-01"},"context":{"merchant_id":"%s","branch_id":"%s","terminal_id":"%s","cashier_id":"c-17","locale":"en-US"},`,
			m.Merchant.ID, m.Branch.ID, m.Terminal.ID)
		marks := []string{markKey, `:` + markAmount + `,`, markCode}
		if sessions {
			body += `"session_id":"` + markSession + `",`
			marks = append(marks, markSession)
		}
		body += `"amount_minor":` + markAmount + `,"currency":"` + stage.Currency + `","credential":{"credential_type":"qr","value":"` + markCode + `"}}`
		headers := [][2]string{{"Authorization", "Bearer " + m.Token}, {"Idempotency-Key", markKey}}
		template, err := load.NewTemplate(address, "/v1/partner/payments", headers, body, marks...)
		if err != nil {
			return nil, err
		}
		t.templates = append(t.templates, template)
	}
	return t, nil
}

// Next renders the next payment; nil where every code is spent.
func (t *Till) Next(buf []byte) []byte {
	i := t.at.Add(1) - 1
	if i >= int64(t.Codes.Len()) {
		return nil
	}
	c := t.Codes.At(int(i))
	var room [36]byte
	key := load.AppendUUID(room[:0], rand.Uint64(), rand.Uint64())
	amount := [5]byte{':', c.Amount[0], c.Amount[1], c.Amount[2], ','}
	if t.sessions {
		return t.templates[c.Merchant].Render(buf, key, amount[:], c.Value, c.Session)
	}
	return t.templates[c.Merchant].Render(buf, key, amount[:], c.Value)
}
