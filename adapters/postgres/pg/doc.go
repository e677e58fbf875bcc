// Package pg is how the adapters speak to Postgres: one pool of connections
// with two faces, a transaction runner, and the mapping of errors.
//
// A repository is built on a Q, which is one transaction or the pool, and
// knows not which:
//
//	// Store implements identity.Customers.
//	type Store struct{ q pg.Q }
//
//	// New returns the store on q.
//	func New(q pg.Q) *Store { return &Store{q} }
//
// Hot statements go through Q itself: constant text, $1 parameters, prepared
// once per connection. One, Maybe and Many scan into a struct by column name
// (PartnerID takes partner_id) or into a plain value:
//
//	type customerRow struct {
//		ID, Phone string
//		Tags      []string // text[]
//		CreatedAt time.Time
//	}
//
//	const findCustomer = `SELECT id, phone, tags, created_at FROM customer
//		WHERE partner_id = $1 AND mode = $2 AND merchant_id = $3 AND phone = $4`
//
//	func (s *Store) ByPhone(ctx context.Context, t tenancy.Tenant, phone string) (*identity.Customer, error) {
//		row, err := pg.Maybe[customerRow](ctx, s.q, findCustomer, t.PartnerID, mode(t.Mode), t.MerchantID, phone)
//		if err != nil || row == nil {
//			return nil, err
//		}
//		return row.customer(), nil
//	}
//
// Many rows are one statement with arrays, never a loop of statements:
//
//	n, err := s.q.Exec(ctx, `INSERT INTO customer_tag (customer_id, tag)
//		SELECT * FROM unnest($1::text[], $2::text[])`, ids, tags)
//
// A constraint is told from other failures by its name:
//
//	if name, ok := pg.Unique(err); ok && name == "customer_phone" { ... }
//
// Lists with optional filters are easier to build with bun, off the hot path.
// Its errors go through Map:
//
//	query := s.q.Bun().NewSelect().TableExpr("customer").ColumnExpr("id, phone, tags, created_at").
//		Where("partner_id = ? AND mode = ? AND merchant_id = ?", t.PartnerID, mode(t.Mode), t.MerchantID).
//		Where("id > ?", after).OrderExpr("id").Limit(limit)
//	if f.Phone != "" {
//		query = query.Where("phone = ?", f.Phone)
//	}
//	var rows []customerRow // with `bun:"tags,array"` on an array column
//	if err := query.Scan(ctx, &rows); err != nil {
//		return nil, pg.Map(err)
//	}
//
// The composition of stores into a unit of work is Tx with one constructor per
// store:
//
//	err := pg.Tx(ctx, db, func(ctx context.Context, q pg.Q) error {
//		return fn(ctx, app.Stores{Idempotency: idempotency.New(q), ...})
//	})
//
// Times come back in UTC. A statement ends after Options.StatementTimeout; a
// store that waits for locks sets its own bound with SET LOCAL lock_timeout.
//
// Ids and names that are compared or ordered are declared text COLLATE "C", so
// that every database orders them as Go does.
package pg
