package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/feddi/feddi/cmd/feddi/internal/bench/load"
	"github.com/feddi/feddi/cmd/feddi/internal/bench/stage"
)

// till renders payments: one template for each merchant, one code for each
// request, a fresh Idempotency-Key every time.
type till struct {
	templates []*load.Template
	codes     *stage.Magazine
	at        atomic.Int64
	sessions  bool
}

// Marks stand in the templates where a value will; each is as long as it.
var (
	markKey     = strings.Repeat("K", 36)
	markAmount  = "999"
	markCode    = "Q1-" + strings.Repeat("Q", 26)
	markSession = "cs_" + strings.Repeat("S", 26)
)

func newTill(s *stage.Stage, codes *stage.Magazine, sessions bool, address string) (*till, error) {
	t := &till{codes: codes, sessions: sessions}
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

// next renders the next payment; nil where every code is spent.
func (t *till) next(buf []byte) []byte {
	i := t.at.Add(1) - 1
	if i >= int64(t.codes.Len()) {
		return nil
	}
	c := t.codes.At(int(i))
	var room [36]byte
	key := load.AppendUUID(room[:0], rand.Uint64(), rand.Uint64())
	amount := [5]byte{':', c.Amount[0], c.Amount[1], c.Amount[2], ','}
	if t.sessions {
		return t.templates[c.Merchant].Render(buf, key, amount[:], c.Value, c.Session)
	}
	return t.templates[c.Merchant].Render(buf, key, amount[:], c.Value)
}
