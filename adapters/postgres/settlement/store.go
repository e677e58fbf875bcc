// Package settlement keeps settlement in Postgres: what was reported of
// top-ups, the batches that entries are folded into, and comparisons with the
// partner's books. Every statement is set-based: none runs once per line.
package settlement

import (
	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/money"
	"github.com/feddi/feddi/core/settlement"
	"github.com/feddi/feddi/core/tenancy"
)

// Store implements settlement.Store.
type Store struct{ q pg.Q }

var _ settlement.Store = (*Store)(nil)

// New returns the store on q.
func New(q pg.Q) *Store { return &Store{q} }

// classes are the money classes by the number that stands for each in the
// journal.
var classes = [...]money.Class{1: money.Actual, 2: money.Promo, 3: money.Points, 4: money.Gift, 5: money.Funding}

func classCode(c money.Class) int16 {
	for code, class := range classes {
		if class == c {
			return int16(code)
		}
	}
	return 0
}

const tenantColumns = `m.tenant_no, m.partner_id, m.merchant_id, m.live`

// scanTenant scans tenantColumns and what follows them.
func scanTenant(r pgx.CollectableRow, extra ...any) (tenancy.Tenant, error) {
	var t tenancy.Tenant
	var live bool
	err := r.Scan(append([]any{&t.No, &t.PartnerID, &t.MerchantID, &live}, extra...)...)
	if t.Mode = tenancy.Sandbox; live {
		t.Mode = tenancy.Production
	}
	return t, err
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
