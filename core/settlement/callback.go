package settlement

import (
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Callback is a verified callback of a payment provider that credited nothing:
// a deposit that somebody has to look after.
type Callback struct {
	ID          string         // pcb_...
	Tenant      tenancy.Tenant // none where no top-up was found
	Provider    string
	Result      string // why nothing was credited
	TopupID     string // as the callback names it
	Reference   string
	AmountMinor int64
	Currency    string
	At          time.Time
}
