package incentives

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/feddi/feddi/core/app"
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

// catalogues keeps one compiled snapshot per merchant, swapped by pointer.
type catalogues struct {
	mu      sync.Mutex
	entries map[int32]*catalogueEntry
}

type catalogueEntry struct {
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
func (e *catalogueEntry) fresh(now time.Time) *engine.Catalogue {
	a := e.current.Load()
	if a == nil || a.changes != e.changes.Load() {
		return nil
	}
	if age := now.Sub(a.checked); age < 0 || age >= catalogueAge {
		return nil
	}
	return a.Catalogue
}

func (c *catalogues) entry(tenantNo int32) *catalogueEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[tenantNo]; ok {
		return e
	}
	if c.entries == nil {
		c.entries = map[int32]*catalogueEntry{}
	}
	if len(c.entries) >= maxCatalogues {
		for no := range c.entries { // any one: it is loaded again when it is asked for
			delete(c.entries, no)
			break
		}
	}
	e := &catalogueEntry{}
	c.entries[tenantNo] = e
	return e
}

// catalogue is the tenant's active offers. This server's own changes are in it
// at once, those of others within catalogueAge.
func (s *Service) catalogue(ctx context.Context, st app.Stores, t tenancy.Tenant, now time.Time) (*engine.Catalogue, error) {
	e := s.catalogues.entry(t.No)
	if c := e.fresh(now); c != nil {
		return c, nil
	}
	e.loading.Lock()
	defer e.loading.Unlock()
	if c := e.fresh(now); c != nil {
		return c, nil
	}
	changes := e.changes.Load() // before reading: a change made meanwhile asks again
	next, err := s.refresh(ctx, st, t, e.current.Load())
	if err != nil {
		return nil, err
	}
	e.current.Store(&aged{Catalogue: next, checked: now, changes: changes})
	return next, nil
}

// refresh loads what changed since a; everything where there is no a.
func (s *Service) refresh(ctx context.Context, st app.Stores, t tenancy.Tenant, a *aged) (*engine.Catalogue, error) {
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
		return engine.New(version, changed, s.Rules), nil
	}
	return a.With(version, changed), nil
}

// changed makes the next feed of this server ask for the tenant's version. It
// is called after the commit; a call too many costs one query.
func (s *Service) changed(t tenancy.Tenant) { s.catalogues.entry(t.No).changes.Add(1) }
