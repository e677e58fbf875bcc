package actuation

import (
	"encoding/json"
	"time"

	"github.com/feddi/feddi/core/tenancy"
)

// Installation is an actuator that one merchant has of its own.
type Installation struct {
	ID     string // ins_...
	Tenant tenancy.Tenant
	// Path and SHA256 are the executable; for a script the checksum covers every
	// file of its folder.
	Path, SHA256 string
	Manifest     Manifest // as declared when it was installed; it is held to that
	Settings     json.RawMessage
	// MaxGrantMinor bounds what one decision may give; 0 is the total of the sale.
	MaxGrantMinor int64
	// Hosts are what the operator granted: name (its port 443) or name:port.
	Hosts []string
	// Shadow runs beside the live ones: what it would have done is recorded, and
	// nothing of it is committed.
	Shadow      bool
	InstalledAt time.Time
}

// Allowance is what the installation may give away in a sale of total minor
// units, where the customer can take it.
func (in Installation) Allowance(kind Kind, total int64) Allowance {
	most := total
	if in.MaxGrantMinor > 0 {
		most = min(most, in.MaxGrantMinor)
	}
	switch kind {
	case KindCashback:
		return Allowance{MaxGrantMinor: most, Sources: []string{"CASHBACK"}}
	case KindUpsell:
		return Allowance{MaxGrantMinor: most, Sources: []string{"OFFER"}}
	default:
		return Allowance{}
	}
}

// SaleKinds are the decisions about a sale, for which a merchant may have an
// actuator of its own.
func SaleKinds() []Kind {
	return []Kind{KindCashback, KindAttribution, KindUpsell, KindEnrichment}
}

// SaleKinds are those that the installation decides.
func (in Installation) SaleKinds() []Kind {
	var out []Kind
	for _, k := range SaleKinds() {
		if in.Manifest.Serves(k) {
			out = append(out, k)
		}
	}
	return out
}

// Usage counts what an actuator was asked since its host started.
type Usage struct {
	Calls      int64
	Snapshots  int64
	Failures   int64 // calls that failed
	Rejections int64 // plans that broke a rule
	Executions int64 // commands that it was given, failures included
	P50, P99   time.Duration
}
