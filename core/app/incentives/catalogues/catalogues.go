// Package catalogues keeps the merchants' compiled offers.
package catalogues

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/app"
	"github.com/feddi/feddi/core/offers"
	"github.com/feddi/feddi/core/offers/engine"
	"github.com/feddi/feddi/core/tenancy"
)

const (
	// catalogueAge is how long a catalogue is used before the tenant's version
	// is asked for again: another server's change is seen within it.
	catalogueAge = 500 * time.Millisecond
	// maxCatalogues bounds how many merchants' catalogues are kept.
	maxCatalogues = 4096
)

// Cache keeps one compiled snapshot per merchant, swapped by pointer. The zero
// value is empty and ready. Safe for concurrent use.
type Cache struct {
	mu      sync.Mutex
	entries map[int32]*entry
}

type entry struct {
	current atomic.Pointer[aged]
	// loading lets one caller load while the others wait: a cold catalogue is
	// built once.
	loading sync.Mutex
	// changes counts the changes that this server made.
	changes atomic.Int64
}

// aged is a snapshot with when its version was last confirmed, and how many
// changes of this server had been made by then.
type aged struct {
	*engine.Catalogue
	checked time.Time
	changes int64
}

// fresh gives the snapshot where it may be used at now without asking, or nil.
func (e *entry) fresh(now time.Time) *engine.Catalogue {
	a := e.current.Load()
	if a == nil || a.changes != e.changes.Load() {
		return nil
	}
	if age := now.Sub(a.checked); age < 0 || age >= catalogueAge {
		return nil
	}
	return a.Catalogue
}

func (c *Cache) entry(tenantNo int32) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[tenantNo]; ok {
		return e
	}
	if c.entries == nil {
		c.entries = map[int32]*entry{}
	}
	if len(c.entries) >= maxCatalogues {
		for no := range c.entries { // any one: it is loaded again when it is asked for
			delete(c.entries, no)
			break
		}
	}
	e := &entry{}
	c.entries[tenantNo] = e
	return e
}

// Get is the tenant's active offers. This server's own changes are in it
// at once, those of others within catalogueAge.
func (c *Cache) Get(ctx context.Context, st app.Stores, rules offers.RuleCompiler, t tenancy.Tenant, now time.Time) (*engine.Catalogue, error) {
	e := c.entry(t.No)
	if kept := e.fresh(now); kept != nil {
		return kept, nil
	}
	e.loading.Lock()
	defer e.loading.Unlock()
	if kept := e.fresh(now); kept != nil {
		return kept, nil
	}
	changes := e.changes.Load() // before reading: a change made meanwhile asks again
	next, err := refresh(ctx, st, rules, t, e.current.Load())
	if err != nil {
		return nil, err
	}
	e.current.Store(&aged{Catalogue: next, checked: now, changes: changes})
	return next, nil
}

// refresh loads what changed since a; everything where there is no a.
func refresh(ctx context.Context, st app.Stores, rules offers.RuleCompiler, t tenancy.Tenant, a *aged) (*engine.Catalogue, error) {
	since := int64(0)
	if a != nil {
		since = a.Version()
		version, err := st.Offers.CatalogueVersion(ctx, t)
		if err != nil || version == since {
			return a.Catalogue, err
		}
	}
	changed, version, err := st.Offers.Changed(ctx, t, since)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return engine.New(version, changed, rules), nil
	}
	return a.With(version, changed), nil
}

// Changed makes the next feed of this server ask for the tenant's version. It
// is called after the commit; a call too many costs one query.
func (c *Cache) Changed(t tenancy.Tenant) { c.entry(t.No).changes.Add(1) }
