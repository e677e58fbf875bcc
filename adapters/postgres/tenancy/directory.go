package tenancy

import (
	"context"
	"sync"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/lru"
	"github.com/feddi/feddi/core/tenancy"
)

// How much a directory remembers; a merchant is about a kilobyte, a site
// 200 bytes, a terminal that reports 500.
const (
	maxMerchants = 10_000
	maxSites     = 50_000
	maxTerminals = 50_000
)

// Directory implements tenancy.Directory from memory; what it does not know it
// reads once. It must hear of changes: give it to a Watcher. Safe for
// concurrent use.
type Directory struct {
	store *Store

	mu        sync.Mutex
	merchants *lru.Cache[string, tenancy.Merchant]
	sites     *lru.Cache[siteKey, site]
	terminals *lru.Cache[string, ownedTerminal]
	// heard counts changes: what was read before one is not kept after it.
	heard uint64
}

var (
	_ tenancy.Directory = (*Directory)(nil)
	_ tenancy.Listener  = (*Directory)(nil)
)

// siteKey names a brand, branch or terminal.
type siteKey struct {
	kind tenancy.ChangeKind
	id   string
}

// site is a brand, branch or terminal with what it lies in.
type site struct {
	TenantNo          int32
	BrandID, BranchID string
}

// NewDirectory returns an empty directory over the pool db.
func NewDirectory(db *pg.DB) *Directory {
	return &Directory{
		store:     New(db.Q()),
		merchants: lru.New[string, tenancy.Merchant](maxMerchants),
		sites:     lru.New[siteKey, site](maxSites),
		terminals: lru.New[string, ownedTerminal](maxTerminals),
	}
}

// Merchant implements tenancy.Directory.
func (d *Directory) Merchant(ctx context.Context, merchantID string) (tenancy.Merchant, error) {
	return remember(d, d.merchants, merchantID, func() (tenancy.Merchant, error) { return d.store.merchant(ctx, merchantID) })
}

// Place implements tenancy.Directory.
func (d *Directory) Place(ctx context.Context, merchantID, brandID, branchID, terminalID string) (tenancy.Place, error) {
	m, err := d.Merchant(ctx, merchantID)
	if err != nil {
		return tenancy.Place{}, err
	}
	place := tenancy.Place{BrandID: brandID, BranchID: branchID, TerminalID: terminalID}
	for _, step := range []struct {
		kind tenancy.ChangeKind
		id   string
	}{{tenancy.ChangeTerminal, terminalID}, {tenancy.ChangeBranch, branchID}, {tenancy.ChangeBrand, brandID}} {
		if step.id == "" {
			continue
		}
		at, err := d.site(ctx, m.Tenant(), step.kind, step.id)
		if err != nil {
			return tenancy.Place{}, err
		}
		if !agree(place.BranchID, at.BranchID) || !agree(place.BrandID, at.BrandID) {
			return tenancy.Place{}, fault.NotFound(string(step.kind)) // it exists, but not there
		}
		place.BranchID, place.BrandID = either(place.BranchID, at.BranchID), either(place.BrandID, at.BrandID)
	}
	return place, nil
}

// agree reports whether two ids can both be true; an empty one says nothing.
func agree(a, b string) bool { return a == "" || b == "" || a == b }

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// site finds a brand, branch or terminal of a tenant.
func (d *Directory) site(ctx context.Context, t tenancy.Tenant, kind tenancy.ChangeKind, id string) (site, error) {
	at, err := remember(d, d.sites, siteKey{kind, id}, func() (site, error) { return d.store.site(ctx, t, kind, id) })
	if err == nil && at.TenantNo != t.No {
		err = fault.NotFound(string(kind))
	}
	return at, err
}

// ownedTerminal is a terminal with whose it is.
type ownedTerminal struct {
	tenantNo int32
	terminal tenancy.Terminal
}

// Terminal implements tenancy.Directory.
func (d *Directory) Terminal(ctx context.Context, t tenancy.Tenant, terminalID string) (tenancy.Terminal, error) {
	known, err := remember(d, d.terminals, terminalID, func() (ownedTerminal, error) {
		x, err := d.store.Terminal(ctx, t, terminalID)
		return ownedTerminal{t.No, x}, err
	})
	if err == nil && known.tenantNo != t.No {
		err = fault.NotFound("terminal")
	}
	return known.terminal, err
}

// siteStatement reads a site. The tenant is a condition here and of every
// look-up in the cache.
func siteStatement(kind tenancy.ChangeKind) string {
	switch kind {
	case tenancy.ChangeBrand:
		return `SELECT tenant_no, brand_id, '' AS branch_id FROM brands WHERE tenant_no = $1 AND brand_id = $2`
	case tenancy.ChangeBranch:
		return `SELECT tenant_no, brand_id, branch_id FROM branches WHERE tenant_no = $1 AND branch_id = $2`
	default:
		return `SELECT tenant_no, brand_id, branch_id FROM terminals WHERE tenant_no = $1 AND terminal_id = $2`
	}
}

func (s *Store) site(ctx context.Context, t tenancy.Tenant, kind tenancy.ChangeKind, id string) (site, error) {
	at, err := pg.Maybe[site](ctx, s.q, siteStatement(kind), t.No, id)
	if err != nil {
		return site{}, err
	}
	if at == nil {
		return site{}, fault.NotFound(string(kind))
	}
	return *at, nil
}

// remember returns key's value from cache, or reads and keeps it, unless
// something changed while it was read.
func remember[K comparable, V any](d *Directory, cache *lru.Cache[K, V], key K, read func() (V, error)) (V, error) {
	d.mu.Lock()
	v, ok := cache.Get(key)
	heard := d.heard
	d.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.heard == heard {
		cache.Put(key, v)
	}
	return v, nil
}

// Changed implements tenancy.Listener.
func (d *Directory) Changed(c tenancy.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard++
	switch c.Kind {
	case tenancy.ChangeMerchant:
		d.merchants.Delete(c.ID)
	case tenancy.ChangeBrand, tenancy.ChangeBranch, tenancy.ChangeTerminal:
		d.sites.Delete(siteKey{c.Kind, c.ID})
		d.terminals.Delete(c.ID)
	case tenancy.ChangeAll:
		d.merchants.Clear()
		d.sites.Clear()
		d.terminals.Clear()
	case tenancy.ChangeKey, tenancy.ChangeToken: // of no concern here
	}
}
