package events

import (
	"context"
	"sync"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/event"
	"github.com/feddi/feddi/core/tenancy"
)

// tenants are whose events they are, by number. What a number stands for never
// changes, so that it is read once: to join it to each event cost as much again as
// to read the event.
type tenants struct {
	mu    sync.Mutex
	known map[int32]tenancy.Tenant
}

const tenantsOf = `SELECT tenant_no, partner_id, merchant_id, live FROM merchants WHERE tenant_no = any($1)`

type tenantRow struct {
	TenantNo              int32
	PartnerID, MerchantID string
	Live                  bool
}

// fill completes the tenants of events, which have numbers only.
func (t *tenants) fill(ctx context.Context, q pg.Q, events []event.Logged) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	missing := map[int32]struct{}{}
	for i := range events {
		if _, known := t.known[events[i].Tenant.No]; !known {
			missing[events[i].Tenant.No] = struct{}{}
		}
	}
	if err := t.read(ctx, q, missing); err != nil {
		return err
	}
	for i := range events {
		if tenant, known := t.known[events[i].Tenant.No]; known {
			events[i].Tenant = tenant
		}
	}
	return nil
}

func (t *tenants) read(ctx context.Context, q pg.Q, missing map[int32]struct{}) error {
	if len(missing) == 0 {
		return nil
	}
	numbers := make([]int32, 0, len(missing))
	for no := range missing {
		numbers = append(numbers, no)
	}
	rows, err := pg.Many[tenantRow](ctx, q, tenantsOf, numbers)
	if err != nil {
		return err
	}
	if t.known == nil {
		t.known = map[int32]tenancy.Tenant{}
	}
	for _, r := range rows {
		tenant := tenancy.Tenant{No: r.TenantNo, PartnerID: r.PartnerID, MerchantID: r.MerchantID, Mode: tenancy.Sandbox}
		if r.Live {
			tenant.Mode = tenancy.Production
		}
		t.known[r.TenantNo] = tenant
	}
	return nil
}
