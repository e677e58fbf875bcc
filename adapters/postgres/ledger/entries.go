package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// entryColumns are entries as the columns of unnest: a head per element, and the
// lines of all of them one after the other, of which each head says where its
// own begin (from 1) and how many they are.
type entryColumns struct {
	ID, Kind, Ref, Currency []string
	Reverses, Trace         []*string
	Tenant                  []int32
	At                      []time.Time
	First, Lines            []int32

	Account, Class []int16
	Owner          []*string
	Amount         []int64
}

// add adds an entry, whose texts the columns point at.
func (c *entryColumns) add(e *ledger.Entry) {
	c.ID, c.Kind, c.Ref, c.Currency = append(c.ID, e.ID), append(c.Kind, string(e.Kind)), append(c.Ref, e.RefID), append(c.Currency, e.Currency)
	c.Reverses, c.Trace = append(c.Reverses, at(&e.Reverses)), append(c.Trace, at(&e.TraceID))
	c.Tenant, c.At = append(c.Tenant, e.Tenant.No), append(c.At, e.At)
	c.First, c.Lines = append(c.First, int32(len(c.Amount)+1)), append(c.Lines, int32(len(e.Postings)))
	for i := range e.Postings {
		line := &e.Postings[i]
		c.Account, c.Class = append(c.Account, int16(line.Kind)), append(c.Class, ClassCode(line.Class))
		c.Owner, c.Amount = append(c.Owner, at(&line.Owner)), append(c.Amount, line.AmountMinor)
	}
}

// at is null without a copy.
func at(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

const insertEntries = `INSERT INTO entries (entry_id, tenant_no, kind, ref_id, reverses, trace_id, at, currency, accounts, classes, owners, amounts)
	SELECT id, tenant_no, kind, ref, reverses, trace, at, currency, ($11::int2[])[line : line + lines - 1], ($12::int2[])[line : line + lines - 1],
		($13::text[])[line : line + lines - 1], ($14::int8[])[line : line + lines - 1]
	FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::int4[], $10::int4[])
		x(id, tenant_no, kind, ref, reverses, trace, at, currency, line, lines)`

// insertEntries writes entries. The lots that they move are told by who changes
// them, see movers.
func (s *Store) insertEntries(ctx context.Context, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var c entryColumns
	for i := range entries {
		c.add(&entries[i])
	}
	_, err := s.q.Exec(ctx, insertEntries, c.ID, c.Tenant, c.Kind, c.Ref, c.Reverses, c.Trace, c.At, c.Currency, c.First, c.Lines,
		c.Account, c.Class, c.Owner, c.Amount)
	return err
}

// lotKey is a lot of a tenant.
type lotKey struct {
	tenant int32
	id     string
}

// movers are entries by the lots that they move, in the order in which they are
// written. Each lot's are to be noted once, in its row.
type movers map[lotKey][]string

func entriesOfLots(entries []ledger.Entry) movers {
	m := movers{}
	for i := range entries {
		e := &entries[i]
		for _, line := range e.Postings {
			lot := lotKey{e.Tenant.No, line.Owner}
			if line.Kind == ledger.AccountLot && !slices.Contains(m[lot], e.ID) {
				m[lot] = append(m[lot], e.ID)
			}
		}
	}
	return m
}

// take gives the entries of a lot to who notes them.
func (m movers) take(t tenancy.Tenant, lot string) []string {
	key := lotKey{t.No, lot}
	ids := m[key]
	delete(m, key)
	return ids
}
