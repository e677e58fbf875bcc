package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/feddi/feddi/adapters/postgres/pg"
	"github.com/feddi/feddi/core/app/payments"
	"github.com/feddi/feddi/core/checkout"
	"github.com/feddi/feddi/core/fault"
	"github.com/feddi/feddi/core/idempotency"
	"github.com/feddi/feddi/core/identity"
	"github.com/feddi/feddi/core/ledger"
	"github.com/feddi/feddi/core/tenancy"
)

// readTemplate gives one row per want and live lot. OFFSET 0 keeps each table a
// look-up of its own, for one want at a time: joined plainly, a table that was
// small when the plan was made could be read whole, by whatever index.
// What only few wants ask for is in braces.
const readTemplate = `
SELECT x.i::int4, c.ctid, w.ctid, s.ctid, g.ctid,
	c.customer_id, c.kind, c.expires_at, c.used_at, c.bound_session_id,
	w.verified, w.active, w.currency, w.actual_minor, w.promo_available_minor, w.promo_locked_minor, w.pending_topups_minor, w.version, w.first_topup_at, w.first_purchase_at,
	s.version, s.state, s.currency, s.customer_id, s.credential_type, s.probationary, s.basket_minor, s.discount_minor, s.paid_minor, s.expires_at,
	g.grant_id, g.source, g.state, g.amount_minor, g.remaining_minor, g.currency, g.expires_at, g.budget_id, g.funded_by, g.origin_id, g.created_at, g.released_at{columns}
FROM {wants} x(tenant_no, code_hash, customer_id, session_id{names}, i)
LEFT JOIN LATERAL (SELECT c.ctid, c.* FROM payment_codes c WHERE c.tenant_no = x.tenant_no AND c.code_hash = x.code_hash OFFSET 0) c ON true
LEFT JOIN LATERAL (SELECT w.ctid, w.* FROM wallets w WHERE w.tenant_no = x.tenant_no AND w.customer_id = coalesce(x.customer_id, c.customer_id) OFFSET 0) w ON true
LEFT JOIN LATERAL (SELECT s.ctid, s.* FROM checkout_sessions s WHERE s.tenant_no = x.tenant_no AND s.session_id = x.session_id OFFSET 0) s ON true
LEFT JOIN LATERAL (SELECT l.ctid, l.* FROM grants l WHERE l.tenant_no = w.tenant_no AND l.customer_id = w.customer_id AND l.state IN ('LOCKED', 'RELEASED') OFFSET 0) g ON true{joins}`

// readStatement reads what every payment rests on; lookUpStatement reads what a
// key's outcome or the payment to capture is, too.
var (
	readStatement   = reading("", "", "", "int4", "bytea", "text", "text")
	lookUpStatement = reading(
		", d.payload_hash, d.status, d.body, d.created_at, d.expires_at, p.ctid, p.status",
		", partner_id, mode, operation, key, payment_id", `
LEFT JOIN LATERAL (SELECT d.* FROM idempotency d WHERE d.partner_id = x.partner_id AND d.mode = x.mode AND d.operation = x.operation AND d.key = x.key AND d.expires_at > $10 OFFSET 0) d ON true
LEFT JOIN LATERAL (SELECT p.ctid, p.* FROM payments p WHERE p.tenant_no = x.tenant_no AND p.payment_id = x.payment_id OFFSET 0) p ON true`,
		"int4", "bytea", "text", "text", "text", "int2", "text", "uuid", "text")
)

// read is a statement for any number of wants, whose columns are arrays, and for
// one, whose columns are values: a sixth less time (102 instead of 121 us there and back).
type read struct{ many, one string }

func reading(columns, names, joins string, types ...string) read {
	arrays, values := make([]string, len(types)), make([]string, len(types))
	for i, name := range types {
		values[i] = fmt.Sprintf("$%d::%s", i+1, name)
		arrays[i] = values[i] + "[]"
	}
	of := func(wants string) string {
		return strings.NewReplacer("{columns}", columns, "{names}", names, "{joins}", joins, "{wants}", wants).Replace(readTemplate)
	}
	return read{
		many: of("unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY"),
		one:  of("(VALUES (" + strings.Join(values, ", ") + ", 1))"),
	}
}

// Read implements payments.Journal.
func (j *Journal) Read(ctx context.Context, wants []payments.Want, now time.Time) ([]payments.State, error) {
	statement, args := readStatement, wantColumns(wants)
	lookUp := slices.ContainsFunc(wants, func(w payments.Want) bool { return w.LookUp || w.PaymentID != "" })
	if lookUp {
		statement, args = lookUpStatement, append(args, lookUpColumns(wants, now)...)
	}
	sql := statement.many
	if len(wants) == 1 {
		sql, args = statement.one, only(args)
	}
	rows, err := j.reads.Q().Query(ctx, sql, args...)
	if err != nil {
		return nil, readable(err)
	}
	defer rows.Close()
	states := make([]payments.State, len(wants))
	found := make([]places, len(wants))
	for rows.Next() {
		r := rawRow{values: rows.RawValues()}
		i := int(r.int32()) - 1
		at := &found[i]
		at.code, at.wallet, at.session = r.place(), r.place(), r.place()
		lot := r.place()
		if states[i].Where == nil {
			states[i].Where = at
			readHead(&r, &wants[i], &states[i])
			if lookUp {
				r.next = lookUpColumn
				readLookUp(&r, &wants[i], &states[i], at)
			}
		}
		r.next = firstLotColumn
		if id := r.text(); id != "" {
			states[i].Lots = append(states[i].Lots, readLot(&r, id, states[i].Wallet))
			at.lots = append(at.lots, lotPlace{id, lot})
		}
	}
	for i := range states {
		ledger.SortSpending(states[i].Lots)
	}
	return states, readable(rows.Err())
}

// readable maps a failed read. One that waited for a lock is nobody's defect:
// somebody has a table to themselves, as a migration does for a moment.
func readable(err error) error {
	if err = pg.Map(err); errors.Is(err, pg.ErrLockTimeout) {
		return fault.New(fault.CodeSubsystemDegraded, "the wallets are held by somebody else; nothing was changed; retry with the same key").After(time.Second).Because(err)
	}
	return err
}

// places are where a state's rows were read: a commit on that state finds them
// there without a search, or finds that somebody changed them.
type places struct {
	code, wallet, session, payment pgtype.TID
	lots                           []lotPlace
}

type lotPlace struct {
	id    string
	place pgtype.TID
}

// lot is where a lot is; nowhere for one that was not read.
func (p *places) lot(id string) pgtype.TID {
	for _, l := range p.lots {
		if l.id == id {
			return l.place
		}
	}
	return pgtype.TID{OffsetNumber: 0, Valid: true}
}

// Where the lot's columns begin in readTemplate, and those of lookUpStatement.
const (
	firstLotColumn = 30
	lookUpColumn   = 42
)

// only takes the one element out of each column. What is no column stays.
func only(args []any) []any {
	for i, a := range args {
		switch a := a.(type) {
		case []int32:
			args[i] = a[0]
		case []int16:
			args[i] = a[0]
		case []string:
			args[i] = a[0]
		case []*string:
			args[i] = a[0]
		case [][]byte:
			args[i] = a[0]
		case []*[16]byte:
			args[i] = a[0]
		}
	}
	return args
}

func wantColumns(wants []payments.Want) []any {
	n := len(wants)
	tenants, codes := make([]int32, n), make([][]byte, n)
	customers, sessions := make([]*string, n), make([]*string, n)
	for i := range wants {
		w := &wants[i]
		tenants[i], codes[i], customers[i], sessions[i] = w.Tenant.No, w.CodeHash, null(w.CustomerID), null(w.SessionID)
	}
	return []any{tenants, codes, customers, sessions}
}

func lookUpColumns(wants []payments.Want, now time.Time) []any {
	n := len(wants)
	partners, modes, operations := make([]string, n), make([]int16, n), make([]string, n)
	keys, pays := make([]*[16]byte, n), make([]*string, n)
	for i := range wants {
		w := &wants[i]
		if w.LookUp {
			partners[i], modes[i], operations[i], keys[i] = scopeColumns(w.Scope)
		}
		pays[i] = null(w.PaymentID)
	}
	return []any{partners, modes, operations, keys, pays, now}
}

// scopeColumns is an idempotency scope as it is stored. A key that is no UUID
// matches nothing; the door lets none through.
func scopeColumns(s idempotency.Scope) (partner string, mode int16, operation string, key *[16]byte) {
	if mode = 1; s.Mode == tenancy.Production {
		mode = 2
	}
	if id, err := uuid.Parse(s.Key); err == nil {
		key = (*[16]byte)(&id)
	}
	return s.PartnerID, mode, s.Operation, key
}

func readHead(r *rawRow, want *payments.Want, st *payments.State) {
	payer := want.CustomerID
	if customer := r.text(); customer != "" {
		payer = customer
		st.Code = &identity.PaymentCode{
			Hash: want.CodeHash, Tenant: want.Tenant, CustomerID: customer, Type: identity.CredentialType(r.text()),
			ExpiresAt: r.time(), UsedAt: r.maybeTime(), BoundSessionID: r.text(),
		}
	} else {
		r.skip(4)
	}
	st.Verified, st.Active = r.bool(), r.bool() // null where there is no wallet, which is false
	st.Wallet = readWallet(r, want.Tenant, payer)
	st.Session = readSession(r, want)
}

func readLookUp(r *rawRow, want *payments.Want, st *payments.State, at *places) {
	if hash := r.bytes(); hash != nil {
		st.Replay = &idempotency.Record{Scope: want.Scope, PayloadHash: [32]byte(hash)}
		st.Replay.Outcome = idempotency.Outcome{Status: int(r.int16()), Body: append([]byte(nil), r.bytes()...)}
		st.Replay.CreatedAt, st.Replay.ExpiresAt = r.time(), r.time()
	} else {
		r.skip(4)
	}
	at.payment = r.place()
	st.Status = ledger.PaymentStatus(r.text())
}

func readWallet(r *rawRow, t tenancy.Tenant, customerID string) *ledger.Wallet {
	currency := r.text()
	if currency == "" {
		r.skip(7)
		return nil
	}
	return &ledger.Wallet{
		Tenant: t, CustomerID: customerID, Currency: currency, ActualMinor: r.int64(), PromoAvailableMinor: r.int64(),
		PromoLockedMinor: r.int64(), PendingTopupsMinor: r.int64(), Version: r.int64(),
		FirstTopupAt: r.maybeTime(), FirstPurchaseAt: r.maybeTime(),
	}
}

func readSession(r *rawRow, want *payments.Want) *checkout.Session {
	version := r.int64()
	if version == 0 {
		r.skip(9)
		return nil
	}
	return &checkout.Session{
		ID: want.SessionID, Tenant: want.Tenant, Version: version, State: checkout.State(r.text()), Currency: r.text(),
		CustomerID: r.text(), CredentialType: r.text(), Probationary: r.bool(), BasketMinor: r.int64(),
		DiscountMinor: r.int64(), PaidMinor: r.int64(), ExpiresAt: r.time(),
	}
}

func readLot(r *rawRow, id string, w *ledger.Wallet) ledger.Grant {
	return ledger.Grant{
		ID: id, Tenant: w.Tenant, CustomerID: w.CustomerID, Source: ledger.Source(r.text()), State: ledger.GrantState(r.text()),
		AmountMinor: r.int64(), RemainingMinor: r.int64(), Currency: r.text(), ExpiresAt: r.maybeTime(), BudgetID: r.text(),
		FundedBy: r.text(), OriginID: r.text(), CreatedAt: r.time(), ReleasedAt: r.maybeTime(),
	}
}

// rawRow reads a row's columns one after the other from their binary form. A
// null reads as the zero value. Scan would cost more than the query's share of
// a payment: forty columns, an allocation for most.
type rawRow struct {
	values [][]byte
	next   int
}

func (r *rawRow) bytes() []byte {
	v := r.values[r.next]
	r.next++
	return v
}

func (r *rawRow) place() pgtype.TID {
	v := r.bytes()
	if len(v) != 6 {
		return pgtype.TID{Valid: true}
	}
	return pgtype.TID{BlockNumber: binary.BigEndian.Uint32(v), OffsetNumber: binary.BigEndian.Uint16(v[4:]), Valid: true}
}

func (r *rawRow) skip(n int) { r.next += n }

func (r *rawRow) text() string { return string(r.bytes()) }

func (r *rawRow) bool() bool {
	v := r.bytes()
	return len(v) == 1 && v[0] == 1
}

func (r *rawRow) int16() int16 {
	if v := r.bytes(); len(v) == 2 {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (r *rawRow) int32() int32 {
	if v := r.bytes(); len(v) == 4 {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (r *rawRow) int64() int64 {
	if v := r.bytes(); len(v) == 8 {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// epoch is the instant that Postgres counts microseconds from.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (r *rawRow) time() time.Time {
	if v := r.bytes(); len(v) == 8 {
		return time.UnixMicro(epoch.UnixMicro() + int64(binary.BigEndian.Uint64(v))).UTC()
	}
	return time.Time{}
}

func (r *rawRow) maybeTime() *time.Time {
	if r.values[r.next] == nil {
		r.next++
		return nil
	}
	t := r.time()
	return &t
}
