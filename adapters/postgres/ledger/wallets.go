package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// OpenWallet implements ledger.Wallets.
func (s *Store) OpenWallet(ctx context.Context, t tenancy.Tenant, customerID, currency string) error {
	_, err := s.q.Exec(ctx, `INSERT INTO wallets (tenant_no, customer_id, currency) VALUES ($1, $2, $3)
		ON CONFLICT (tenant_no, customer_id) DO NOTHING`, t.No, customerID, currency)
	return err
}

const walletColumnsOf = `w.currency, w.actual_minor, w.promo_available_minor, w.promo_locked_minor, w.pending_topups_minor,
	w.version, w.first_topup_at, w.first_purchase_at`

func scanWallet(t tenancy.Tenant, customerID string, extra ...any) func(pgx.CollectableRow) (ledger.Wallet, error) {
	return func(r pgx.CollectableRow) (ledger.Wallet, error) {
		w := ledger.Wallet{Tenant: t, CustomerID: customerID}
		dest := []any{
			&w.Currency, &w.ActualMinor, &w.PromoAvailableMinor, &w.PromoLockedMinor, &w.PendingTopupsMinor,
			&w.Version, &w.FirstTopupAt, &w.FirstPurchaseAt,
		}
		return w, r.Scan(append(dest, extra...)...)
	}
}

func notFound(err error, resource string) error {
	if pg.NoRows(err) {
		return fault.NotFound(resource)
	}
	return err
}

// Balance implements ledger.Wallets. Wallet and lots are of one snapshot.
func (s *Store) Balance(ctx context.Context, t tenancy.Tenant, customerID string) (ledger.Balance, error) {
	customerID, err := s.remains(ctx, t, customerID)
	if err != nil {
		return ledger.Balance{}, err
	}
	rows, err := s.q.Query(ctx, `SELECT w.currency, w.actual_minor, w.promo_available_minor, w.promo_locked_minor,
			w.pending_topups_minor, w.version, w.first_topup_at, w.first_purchase_at, `+lotColumns+`
		FROM wallets w
		LEFT JOIN grants g ON g.tenant_no = w.tenant_no AND g.customer_id = w.customer_id AND g.state IN ('LOCKED', 'RELEASED')
		WHERE w.tenant_no = $1 AND w.customer_id = $2`, t.No, customerID)
	if err != nil {
		return ledger.Balance{}, err
	}
	defer rows.Close()
	var w ledger.Wallet
	var lots []ledger.Grant
	found := false
	for rows.Next() {
		var lot lotRow
		w, err = scanWallet(t, customerID, lot.dest()...)(rows)
		if err != nil {
			return ledger.Balance{}, pg.Map(err)
		}
		found = true
		if lot.ID != nil {
			lots = append(lots, lot.grant(t, customerID))
		}
	}
	if err := rows.Err(); err != nil {
		return ledger.Balance{}, pg.Map(err)
	}
	if !found {
		return ledger.Balance{}, fault.NotFound("customer")
	}
	ledger.SortSpending(lots)
	return ledger.Balance{
		CustomerID: customerID, ActualMinor: w.ActualMinor, PromoAvailableMinor: w.PromoAvailableMinor,
		PromoLockedMinor: w.PromoLockedMinor, PendingTopupsMinor: w.PendingTopupsMinor,
		Currency: w.Currency, Version: w.Version, Grants: lots,
	}, nil
}

// remains is the customer whose wallet serves customerID: that of a merged
// identity is the wallet of the one that remains.
func (s *Store) remains(ctx context.Context, t tenancy.Tenant, customerID string) (id string, err error) {
	err = s.q.QueryRow(ctx, `SELECT coalesce(merged_into, customer_id) FROM customers WHERE tenant_no = $1 AND customer_id = $2`,
		t.No, customerID).Scan(&id)
	if pg.NoRows(err) {
		return customerID, nil
	}
	return id, err
}

// Book implements ledger.Wallets.
func (s *Store) Book(ctx context.Context, t tenancy.Tenant, customerID string) (ledger.Book, error) {
	books, err := s.Books(ctx, []ledger.Owner{{Tenant: t, CustomerID: customerID}})
	switch {
	case err != nil:
		return ledger.Book{}, err
	case len(books) == 0:
		return ledger.Book{}, fault.NotFound("customer")
	}
	return books[0], nil
}

// lockWallets locks wallets and those that they were merged into, all in the order
// of their ids: who locked the one and then the other would wait in a circle with
// who locks both in that order.
const lockWallets = `SELECT w.tenant_no, w.customer_id, coalesce(w.merged_into, ''), coalesce(c.state = 'VERIFIED' AND c.status = 'active', false), ` + walletColumnsOf + `
	FROM (SELECT a.tenant_no, a.customer_id FROM unnest($1::int4[], $2::text[]) a(tenant_no, customer_id)
		UNION SELECT m.tenant_no, m.merged_into FROM unnest($1::int4[], $2::text[]) a(tenant_no, customer_id)
		JOIN wallets m ON m.tenant_no = a.tenant_no AND m.customer_id = a.customer_id AND m.merged_into IS NOT NULL) x
	JOIN wallets w ON w.tenant_no = x.tenant_no AND w.customer_id = x.customer_id
	LEFT JOIN customers c ON c.tenant_no = x.tenant_no AND c.customer_id = x.customer_id
	ORDER BY w.tenant_no, w.customer_id FOR UPDATE OF w`

const liveLots = `SELECT g.customer_id, g.tenant_no, ` + lotColumns + `
	FROM unnest($1::int4[], $2::text[]) x(tenant_no, customer_id)
	JOIN grants g ON g.tenant_no = x.tenant_no AND g.customer_id = x.customer_id AND g.state IN ('LOCKED', 'RELEASED')`

// held are owners as columns, with the tenants whole.
type held struct {
	tenants   []int32
	customers []string
	whole     map[int32]tenancy.Tenant
}

func (h *held) add(o ledger.Owner) {
	h.tenants, h.customers = append(h.tenants, o.Tenant.No), append(h.customers, o.CustomerID)
	h.whole[o.Tenant.No] = o.Tenant
}

// lock locks wallets, and those that they were merged into. into says which were
// merged, and into which: a wallet tells so itself, also where it was merged while
// its lock was waited for.
func (s *Store) lock(ctx context.Context, h held) (books []ledger.Book, into map[ledger.Owner]string, err error) {
	into = map[ledger.Owner]string{}
	books, err = pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (b ledger.Book, err error) {
		w, merged := &b.Wallet, ""
		err = r.Scan(&w.Tenant.No, &w.CustomerID, &merged, &b.Verified, &w.Currency, &w.ActualMinor, &w.PromoAvailableMinor, &w.PromoLockedMinor,
			&w.PendingTopupsMinor, &w.Version, &w.FirstTopupAt, &w.FirstPurchaseAt)
		w.Tenant = h.whole[w.Tenant.No]
		if merged != "" {
			into[b.Owner()] = merged
		}
		return b, err
	}, lockWallets, h.tenants, h.customers)
	return books, into, err
}

// Books implements ledger.Wallets.
func (s *Store) Books(ctx context.Context, owners []ledger.Owner) ([]ledger.Book, error) {
	if len(owners) == 0 {
		return nil, nil
	}
	h := held{whole: make(map[int32]tenancy.Tenant, 1)}
	for _, o := range owners {
		h.add(o)
	}
	locked, into, err := s.lock(ctx, h)
	if err != nil {
		return nil, err
	}
	books, missing := serving(owners, locked, into)
	switch {
	case len(missing) > 0: // to lock it now would be out of order
		return nil, fmt.Errorf("%w: a wallet was merged into that of %s meanwhile", pg.ErrAgain, missing[0].CustomerID)
	case len(books) == 0:
		return nil, nil
	}
	return books, s.lots(ctx, books)
}

// serving are the locked wallets that serve the owners, each with whom it was asked
// for: a merged identity is served by the wallet of the one that remains. missing are
// those that are not locked, because somebody was merged while the locks were
// waited for.
func serving(owners []ledger.Owner, locked []ledger.Book, into map[ledger.Owner]string) (books []ledger.Book, missing []ledger.Owner) {
	asked := map[ledger.Owner][]string{}
	for _, o := range owners {
		remains := o
		for target := into[remains]; target != ""; target = into[remains] {
			remains.CustomerID = target
		}
		asked[remains] = append(asked[remains], o.CustomerID)
	}
	for _, b := range locked {
		o := b.Owner()
		if b.Asked = asked[o]; len(b.Asked) > 0 {
			books = append(books, b)
		}
		delete(asked, o)
	}
	for o := range asked {
		if !slices.Contains(owners, o) { // else it has no wallet
			missing = append(missing, o)
		}
	}
	return books, missing
}

// lots reads the live lots of wallets that are locked.
func (s *Store) lots(ctx context.Context, books []ledger.Book) error {
	h := held{whole: make(map[int32]tenancy.Tenant, 1)}
	at := make(map[ledger.Owner]int, len(books))
	for i := range books {
		h.add(books[i].Owner())
		at[books[i].Owner()] = i
	}
	_, err := pg.ManyFunc(ctx, s.q, func(r pgx.CollectableRow) (struct{}, error) {
		var row lotRow
		var o ledger.Owner
		if err := r.Scan(append([]any{&o.CustomerID, &o.Tenant.No}, row.dest()...)...); err != nil {
			return struct{}{}, err
		}
		o.Tenant = h.whole[o.Tenant.No]
		b := &books[at[o]]
		b.Lots = append(b.Lots, row.grant(o.Tenant, o.CustomerID))
		return struct{}{}, nil
	}, liveLots, h.tenants, h.customers)
	for i := range books {
		ledger.SortSpending(books[i].Lots)
	}
	return err
}

// Apply implements ledger.Wallets.
func (s *Store) Apply(ctx context.Context, c *ledger.Change) (ledger.Wallet, error) {
	w := c.Wallet
	if err := s.ApplyAll(ctx, []*ledger.Change{c}); err != nil {
		return w, err
	}
	w.Version++
	return w, nil
}

const updateWallets = `UPDATE wallets w SET actual_minor = x.actual, promo_available_minor = x.promo, promo_locked_minor = x.locked,
		pending_topups_minor = x.pending, first_topup_at = x.first_topup, first_purchase_at = x.first_purchase, version = w.version + 1
	FROM unnest($1::int4[], $2::text[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::timestamptz[], $9::timestamptz[])
		x(tenant_no, customer_id, version, actual, promo, locked, pending, first_topup, first_purchase)
	WHERE w.tenant_no = x.tenant_no AND w.customer_id = x.customer_id AND w.version = x.version`

// ApplyAll implements ledger.Wallets.
func (s *Store) ApplyAll(ctx context.Context, changes []*ledger.Change) error {
	if len(changes) == 0 {
		return nil
	}
	var a walletArrays
	var issued, changed []ledger.Grant
	var entries []ledger.Entry
	for _, c := range changes {
		a.add(c.Wallet)
		issued, changed, entries = append(issued, c.Issued...), append(changed, c.Grants...), append(entries, c.Entries...)
	}
	n, err := s.q.Exec(ctx, updateWallets, a.tenant, a.customer, a.version, a.actual, a.promo, a.locked, a.pending, a.topup, a.purchase)
	if err != nil {
		return err
	}
	if n != int64(len(changes)) {
		return fault.Field(fault.CodeStateConflict, "customer_id", "wallet_version",
			"the wallet changed at the same moment; retry with a new Idempotency-Key")
	}
	movers := entriesOfLots(entries)
	if err := s.insertLots(ctx, issued, movers); err != nil {
		return err
	}
	if err := s.updateLots(ctx, changed, movers); err != nil {
		return err
	}
	if err := s.noteMovers(ctx, movers); err != nil {
		return err
	}
	return s.insertEntries(ctx, entries)
}

// walletArrays are wallets as the columns of unnest.
type walletArrays struct {
	tenant                                  []int32
	customer                                []string
	version, actual, promo, locked, pending []int64
	topup, purchase                         []*time.Time
}

func (a *walletArrays) add(w ledger.Wallet) {
	a.tenant, a.customer, a.version = append(a.tenant, w.Tenant.No), append(a.customer, w.CustomerID), append(a.version, w.Version)
	a.actual, a.promo, a.locked = append(a.actual, w.ActualMinor), append(a.promo, w.PromoAvailableMinor), append(a.locked, w.PromoLockedMinor)
	a.pending, a.topup, a.purchase = append(a.pending, w.PendingTopupsMinor), append(a.topup, w.FirstTopupAt), append(a.purchase, w.FirstPurchaseAt)
}
