package journal

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/core/app/payments"
	core "github.com/feddi/feddi/core/ledger"
)

// commitTemplate writes any number of payments, or none of them. Each part is
// independent of the others and counts what it touched; a count that is less
// than asked means that somebody was faster, and undoes the whole statement.
// The counts are taken in the order in which every transaction locks: key,
// session, wallet, lots.
//
// A row that was read is found again by its place (ctid), which costs no search.
// A place holds another row, or none, once somebody changed what was there: then
// the count is less. Id and version are compared all the same. Names in braces are columns
// of parameters, "{wallet: id, at}" the rows that some of them make.
const commitTemplate = `
WITH idem AS (
	INSERT INTO idempotency (partner_id, mode, operation, key, payload_hash, created_at, expires_at, status, body)
	SELECT * FROM {key: partner, mode, operation, key, hash, created, expires, status, body} x),
sess AS (
	UPDATE checkout_sessions s SET paid_minor = x.paid, customer_id = x.customer, credential_type = x.credential, probationary = false, version = s.version + 1
	FROM {session: place, tenant, id, version, paid, customer, credential} x
	WHERE s.ctid = x.place AND s.tenant_no = x.tenant AND s.session_id = x.id AND s.version = x.version
	RETURNING 1),
wal AS (
	UPDATE wallets w SET actual_minor = x.actual, promo_available_minor = x.promo, promo_locked_minor = x.locked,
		first_purchase_at = coalesce(w.first_purchase_at, x.at), version = w.version + 1
	FROM {wallet: place, tenant, id, version, actual, promo, locked, at} x
	WHERE w.ctid = x.place AND w.tenant_no = x.tenant AND w.customer_id = x.id AND w.version = x.version
	RETURNING 1),
code AS (
	UPDATE payment_codes c SET used_at = x.at
	FROM {code: place, tenant, hash, at} x
	WHERE c.ctid = x.place AND c.tenant_no = x.tenant AND c.code_hash = x.hash AND c.used_at IS NULL
	RETURNING 1),
lots AS (
	UPDATE grants g SET state = x.state, remaining_minor = x.remaining, released_at = x.released,
		entry_ids = CASE WHEN x.entry IS NULL THEN g.entry_ids ELSE g.entry_ids || x.entry END
	FROM {lot: place, tenant, id, state, remaining, released, entry} x
	WHERE g.ctid = x.place AND g.tenant_no = x.tenant AND g.grant_id = x.id
	RETURNING 1),
pay AS (
	INSERT INTO payments (payment_id, tenant_no, customer_id, session_id, status, amount_minor, debited_promo_minor, debited_actual_minor,
		currency, credential_type, grant_ids, grant_minors, entry_id, brand_id, branch_id, terminal_id, cashier_id, decision, created_at, captured_at)
	SELECT id, tenant, customer, session, 'succeeded', amount, promo, actual, currency, credential,
		CASE WHEN lots > 0 THEN ({source.id})[lot + 1 : lot + lots] END, CASE WHEN lots > 0 THEN ({source.amount})[lot + 1 : lot + lots] END,
		entry, brand, branch, terminal, cashier, decision, created, at
	FROM {pay: id, tenant, customer, session, amount, promo, actual, currency, credential, lot, lots, entry, brand, branch, terminal, cashier, decision, created, at} x),
cap AS (
	UPDATE payments p SET status = 'succeeded', debited_promo_minor = x.promo, debited_actual_minor = x.actual,
		grant_ids = CASE WHEN x.lots > 0 THEN ({source.id})[x.lot + 1 : x.lot + x.lots] END,
		grant_minors = CASE WHEN x.lots > 0 THEN ({source.amount})[x.lot + 1 : x.lot + x.lots] END,
		entry_id = x.entry, decision = x.decision, captured_at = x.at
	FROM {capture: place, id, tenant, promo, actual, lot, lots, entry, decision, at} x
	WHERE p.ctid = x.place AND p.payment_id = x.id AND p.tenant_no = x.tenant AND p.status = 'requires_capture'
	RETURNING 1),
ent AS (
	INSERT INTO entries (entry_id, tenant_no, kind, ref_id, trace_id, at, currency, accounts, classes, owners, amounts)
	SELECT id, tenant, 'payment', payment, trace, at, currency, ({line.account})[line : line + lines - 1], ({line.class})[line : line + lines - 1],
		({line.owner})[line : line + lines - 1], ({line.amount})[line : line + lines - 1]
	FROM {entry: id, tenant, payment, trace, at, currency, line, lines} x),
ev AS (
	INSERT INTO events (event_id, tenant_no, type, subject, trace_id, data, at)
	SELECT id, tenant, type, subject, trace, data::json, at FROM {event: id, tenant, type, subject, trace, data, at} x)
SELECT CASE
	WHEN (SELECT count(*) FROM sess) < cardinality({session.id}) THEN ledger_stale('session')
	WHEN (SELECT count(*) FROM wal) < cardinality({wallet.id}) THEN ledger_stale('wallet')
	WHEN (SELECT count(*) FROM code) < cardinality({code.hash}) THEN ledger_stale('code')
	WHEN (SELECT count(*) FROM lots) < cardinality({lot.id}) THEN ledger_stale('lot')
	WHEN (SELECT count(*) FROM cap) < cardinality({capture.id}) THEN ledger_stale('payment')
	ELSE true END`

// columns are a batch of payments as the arrays of commitStatement.
type columns struct {
	key struct {
		partner, operation []string
		mode, status       []int16
		key                []*[16]byte
		hash, body         [][]byte
		created, expires   []time.Time
	}
	session struct {
		place         []pgtype.TID
		tenant        []int32
		id            []string
		version, paid []int64
		customer      []string
		credential    []string
	}
	wallet struct {
		place                          []pgtype.TID
		tenant                         []int32
		id                             []string
		version, actual, promo, locked []int64
		at                             []time.Time
	}
	code struct {
		place  []pgtype.TID
		tenant []int32
		hash   [][]byte
		at     []time.Time
	}
	lot struct {
		place     []pgtype.TID
		tenant    []int32
		id, state []string
		remaining []int64
		released  []*time.Time
		entry     []*string // null where the lot was only released
	}
	pay struct { // new ones
		id, customer, currency, credential, entry, decision []string
		tenant, lot, lots                                   []int32
		amount, promo, actual                               []int64
		session, brand, branch, terminal, cashier           []*string
		created, at                                         []time.Time
	}
	capture struct { // those that waited for a code
		place               []pgtype.TID
		id, entry, decision []string
		tenant, lot, lots   []int32
		promo, actual       []int64
		at                  []time.Time
	}
	source struct { // of all payments, one after the other
		id     []string
		amount []int64
	}
	entry ledger.EntryColumns
	event struct {
		id, kind, subject, data []string
		tenant                  []int32
		trace                   []*string
		at                      []time.Time
	}
}

// parameter is a column of commitTemplate: its type, and its values.
type parameter struct {
	name, cast string
	values     func(c *columns) any
}

// parameters in the order in which they are bound.
var parameters = []parameter{
	{"key.partner", "text[]", func(c *columns) any { return list(c.key.partner) }},
	{"key.mode", "int2[]", func(c *columns) any { return list(c.key.mode) }},
	{"key.operation", "text[]", func(c *columns) any { return list(c.key.operation) }},
	{"key.key", "uuid[]", func(c *columns) any { return list(c.key.key) }},
	{"key.hash", "bytea[]", func(c *columns) any { return list(c.key.hash) }},
	{"key.created", "timestamptz[]", func(c *columns) any { return list(c.key.created) }},
	{"key.expires", "timestamptz[]", func(c *columns) any { return list(c.key.expires) }},
	{"key.status", "int2[]", func(c *columns) any { return list(c.key.status) }},
	{"key.body", "bytea[]", func(c *columns) any { return list(c.key.body) }},
	{"session.place", "tid[]", func(c *columns) any { return list(c.session.place) }},
	{"session.tenant", "int4[]", func(c *columns) any { return list(c.session.tenant) }},
	{"session.id", "text[]", func(c *columns) any { return list(c.session.id) }},
	{"session.version", "int8[]", func(c *columns) any { return list(c.session.version) }},
	{"session.paid", "int8[]", func(c *columns) any { return list(c.session.paid) }},
	{"session.customer", "text[]", func(c *columns) any { return list(c.session.customer) }},
	{"session.credential", "text[]", func(c *columns) any { return list(c.session.credential) }},
	{"wallet.place", "tid[]", func(c *columns) any { return list(c.wallet.place) }},
	{"wallet.tenant", "int4[]", func(c *columns) any { return list(c.wallet.tenant) }},
	{"wallet.id", "text[]", func(c *columns) any { return list(c.wallet.id) }},
	{"wallet.version", "int8[]", func(c *columns) any { return list(c.wallet.version) }},
	{"wallet.actual", "int8[]", func(c *columns) any { return list(c.wallet.actual) }},
	{"wallet.promo", "int8[]", func(c *columns) any { return list(c.wallet.promo) }},
	{"wallet.locked", "int8[]", func(c *columns) any { return list(c.wallet.locked) }},
	{"wallet.at", "timestamptz[]", func(c *columns) any { return list(c.wallet.at) }},
	{"code.place", "tid[]", func(c *columns) any { return list(c.code.place) }},
	{"code.tenant", "int4[]", func(c *columns) any { return list(c.code.tenant) }},
	{"code.hash", "bytea[]", func(c *columns) any { return list(c.code.hash) }},
	{"code.at", "timestamptz[]", func(c *columns) any { return list(c.code.at) }},
	{"lot.place", "tid[]", func(c *columns) any { return list(c.lot.place) }},
	{"lot.tenant", "int4[]", func(c *columns) any { return list(c.lot.tenant) }},
	{"lot.id", "text[]", func(c *columns) any { return list(c.lot.id) }},
	{"lot.state", "text[]", func(c *columns) any { return list(c.lot.state) }},
	{"lot.remaining", "int8[]", func(c *columns) any { return list(c.lot.remaining) }},
	{"lot.released", "timestamptz[]", func(c *columns) any { return list(c.lot.released) }},
	{"lot.entry", "text[]", func(c *columns) any { return list(c.lot.entry) }},
	{"pay.id", "text[]", func(c *columns) any { return list(c.pay.id) }},
	{"pay.tenant", "int4[]", func(c *columns) any { return list(c.pay.tenant) }},
	{"pay.customer", "text[]", func(c *columns) any { return list(c.pay.customer) }},
	{"pay.session", "text[]", func(c *columns) any { return list(c.pay.session) }},
	{"pay.amount", "int8[]", func(c *columns) any { return list(c.pay.amount) }},
	{"pay.promo", "int8[]", func(c *columns) any { return list(c.pay.promo) }},
	{"pay.actual", "int8[]", func(c *columns) any { return list(c.pay.actual) }},
	{"pay.currency", "text[]", func(c *columns) any { return list(c.pay.currency) }},
	{"pay.credential", "text[]", func(c *columns) any { return list(c.pay.credential) }},
	{"pay.lot", "int4[]", func(c *columns) any { return list(c.pay.lot) }},
	{"pay.lots", "int4[]", func(c *columns) any { return list(c.pay.lots) }},
	{"pay.entry", "text[]", func(c *columns) any { return list(c.pay.entry) }},
	{"pay.brand", "text[]", func(c *columns) any { return list(c.pay.brand) }},
	{"pay.branch", "text[]", func(c *columns) any { return list(c.pay.branch) }},
	{"pay.terminal", "text[]", func(c *columns) any { return list(c.pay.terminal) }},
	{"pay.cashier", "text[]", func(c *columns) any { return list(c.pay.cashier) }},
	{"pay.decision", "text[]", func(c *columns) any { return list(c.pay.decision) }},
	{"pay.created", "timestamptz[]", func(c *columns) any { return list(c.pay.created) }},
	{"pay.at", "timestamptz[]", func(c *columns) any { return list(c.pay.at) }},
	{"capture.place", "tid[]", func(c *columns) any { return list(c.capture.place) }},
	{"capture.id", "text[]", func(c *columns) any { return list(c.capture.id) }},
	{"capture.tenant", "int4[]", func(c *columns) any { return list(c.capture.tenant) }},
	{"capture.promo", "int8[]", func(c *columns) any { return list(c.capture.promo) }},
	{"capture.actual", "int8[]", func(c *columns) any { return list(c.capture.actual) }},
	{"capture.lot", "int4[]", func(c *columns) any { return list(c.capture.lot) }},
	{"capture.lots", "int4[]", func(c *columns) any { return list(c.capture.lots) }},
	{"capture.entry", "text[]", func(c *columns) any { return list(c.capture.entry) }},
	{"capture.decision", "text[]", func(c *columns) any { return list(c.capture.decision) }},
	{"capture.at", "timestamptz[]", func(c *columns) any { return list(c.capture.at) }},
	{"source.id", "text[]", func(c *columns) any { return list(c.source.id) }},
	{"source.amount", "int8[]", func(c *columns) any { return list(c.source.amount) }},
	{"entry.id", "text[]", func(c *columns) any { return list(c.entry.ID) }},
	{"entry.tenant", "int4[]", func(c *columns) any { return list(c.entry.Tenant) }},
	{"entry.payment", "text[]", func(c *columns) any { return list(c.entry.Ref) }},
	{"entry.trace", "text[]", func(c *columns) any { return list(c.entry.Trace) }},
	{"entry.at", "timestamptz[]", func(c *columns) any { return list(c.entry.At) }},
	{"entry.currency", "text[]", func(c *columns) any { return list(c.entry.Currency) }},
	{"entry.line", "int4[]", func(c *columns) any { return list(c.entry.First) }},
	{"entry.lines", "int4[]", func(c *columns) any { return list(c.entry.Lines) }},
	{"line.account", "int2[]", func(c *columns) any { return list(c.entry.Account) }},
	{"line.class", "int2[]", func(c *columns) any { return list(c.entry.Class) }},
	{"line.owner", "text[]", func(c *columns) any { return list(c.entry.Owner) }},
	{"line.amount", "int8[]", func(c *columns) any { return list(c.entry.Amount) }},
	{"event.id", "text[]", func(c *columns) any { return list(c.event.id) }},
	{"event.tenant", "int4[]", func(c *columns) any { return list(c.event.tenant) }},
	{"event.type", "text[]", func(c *columns) any { return list(c.event.kind) }},
	{"event.subject", "text[]", func(c *columns) any { return list(c.event.subject) }},
	{"event.trace", "text[]", func(c *columns) any { return list(c.event.trace) }},
	{"event.data", "text[]", func(c *columns) any { return list(c.event.data) }},
	{"event.at", "timestamptz[]", func(c *columns) any { return list(c.event.at) }},
}

// commitStatement is commitTemplate with numbered parameters.
var commitStatement = func() string {
	pairs := make([]string, 0, 2*len(parameters))
	for i, p := range parameters {
		pairs = append(pairs, "{"+p.name+"}", "$"+strconv.Itoa(i+1)+"::"+p.cast)
	}
	return strings.NewReplacer(pairs...).Replace(rowsOf.ReplaceAllStringFunc(commitTemplate, rows))
}()

var rowsOf = regexp.MustCompile(`\{(\w+): ([^}]+)\}`)

// rows is a relation whose columns are arrays, "{wallet: id, at}". It takes the
// elements by their number: unnest would put each array through a store of its
// own, which costs as much as writing the rows where there are few.
func rows(relation string) string {
	part := rowsOf.FindStringSubmatch(relation)
	columns := strings.Split(part[2], ", ")
	elements := make([]string, len(columns))
	for i, c := range columns {
		elements[i] = "({" + part[1] + "." + c + "})[i] AS " + c
	}
	return "(SELECT " + strings.Join(elements, ", ") + " FROM generate_series(1, cardinality({" + part[1] + "." + columns[0] + "})) i)"
}

// args are the columns as the arguments of commitStatement.
func (c *columns) args() []any {
	out := make([]any, len(parameters))
	for i, p := range parameters {
		out[i] = p.values(c)
	}
	return out
}

// grow makes room for n payments, where most of the columns have one each.
func (c *columns) grow(n int) {
	c.key.partner, c.key.operation = make([]string, 0, n), make([]string, 0, n)
	c.key.mode, c.key.status = make([]int16, 0, n), make([]int16, 0, n)
	c.key.key, c.key.hash, c.key.body = make([]*[16]byte, 0, n), make([][]byte, 0, n), make([][]byte, 0, n)
	c.key.created, c.key.expires = make([]time.Time, 0, n), make([]time.Time, 0, n)
	c.wallet.place, c.code.place = make([]pgtype.TID, 0, n), make([]pgtype.TID, 0, n)
	c.wallet.tenant, c.wallet.id, c.wallet.version = make([]int32, 0, n), make([]string, 0, n), make([]int64, 0, n)
	c.wallet.actual, c.wallet.promo, c.wallet.locked = make([]int64, 0, n), make([]int64, 0, n), make([]int64, 0, n)
	c.code.tenant, c.code.hash = make([]int32, 0, n), make([][]byte, 0, n)
	p := &c.pay
	for _, s := range []*[]string{&p.id, &p.customer, &p.currency, &p.credential, &p.entry, &p.decision} {
		*s = make([]string, 0, n)
	}
	for _, s := range []*[]int64{&p.amount, &p.promo, &p.actual} {
		*s = make([]int64, 0, n)
	}
	for _, s := range []*[]*string{&p.session, &p.brand, &p.branch, &p.terminal, &p.cashier} {
		*s = make([]*string, 0, n)
	}
	p.tenant, p.lot, p.lots, p.created = make([]int32, 0, n), make([]int32, 0, n), make([]int32, 0, n), make([]time.Time, 0, n)
	c.entry.Grow(n, 3)
	e := &c.event
	e.id, e.kind, e.subject, e.data = make([]string, 0, n), make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	e.tenant, e.trace = make([]int32, 0, n), make([]*string, 0, n)
}

func (c *columns) add(p *payments.Posting) error {
	if len(p.Change.Entries) != 1 {
		return fmt.Errorf("a payment has one entry, %s has %d", p.Payment.ID, len(p.Change.Entries))
	}
	entry := &p.Change.Entries[0]
	if err := entry.Validate(); err != nil {
		return err
	}
	c.entry.Add(entry)
	at, _ := p.Where.(*places)
	if at == nil {
		return errors.New("a posting without its places: it was not decided on what Read gave")
	}
	tenant := p.Payment.Tenant.No
	c.addKey(p)
	c.addWallet(p, at, tenant)
	c.addPayment(p, at, tenant)
	if s := p.Session; s != nil {
		d := &c.session
		d.place, d.tenant, d.id, d.version = append(d.place, at.session), append(d.tenant, tenant), append(d.id, s.ID), append(d.version, s.Version)
		d.paid, d.customer, d.credential = append(d.paid, s.PaidMinor), append(d.customer, s.CustomerID), append(d.credential, s.CredentialType)
	}
	for i := range p.Events {
		e := &p.Events[i]
		d := &c.event
		d.id, d.kind, d.subject = append(d.id, e.ID), append(d.kind, e.Type), append(d.subject, e.Subject)
		d.data, d.tenant, d.trace = append(d.data, string(e.Data)), append(d.tenant, tenant), append(d.trace, null(e.TraceID))
		d.at = append(d.at, p.At)
	}
	return nil
}

func (c *columns) addKey(p *payments.Posting) {
	if p.Pin == nil {
		return
	}
	d := &c.key
	partner, mode, operation, key := scopeColumns(p.Pin.Scope)
	d.partner, d.mode, d.operation, d.key = append(d.partner, partner), append(d.mode, mode), append(d.operation, operation), append(d.key, key)
	d.hash, d.body = append(d.hash, p.Pin.PayloadHash[:]), append(d.body, p.Pin.Outcome.Body)
	d.status = append(d.status, int16(p.Pin.Outcome.Status))
	d.created, d.expires = append(d.created, p.Pin.CreatedAt), append(d.expires, p.Pin.ExpiresAt)
}

func (c *columns) addWallet(p *payments.Posting, at *places, tenant int32) {
	w := &p.Change.Wallet
	d := &c.wallet
	d.place, d.tenant, d.id, d.version = append(d.place, at.wallet), append(d.tenant, tenant), append(d.id, w.CustomerID), append(d.version, w.Version)
	d.actual, d.promo, d.locked = append(d.actual, w.ActualMinor), append(d.promo, w.PromoAvailableMinor), append(d.locked, w.PromoLockedMinor)
	d.at = append(d.at, p.At)
	if p.CodeHash != nil {
		k := &c.code
		k.place, k.tenant, k.hash, k.at = append(k.place, at.code), append(k.tenant, tenant), append(k.hash, p.CodeHash), append(k.at, p.At)
	}
	for _, g := range p.Change.Grants {
		l := &c.lot
		l.place, l.tenant, l.id, l.state = append(l.place, at.lot(g.ID)), append(l.tenant, tenant), append(l.id, g.ID), append(l.state, string(g.State))
		l.remaining, l.released, l.entry = append(l.remaining, g.RemainingMinor), append(l.released, g.ReleasedAt), append(l.entry, moves(&p.Change.Entries[0], g.ID))
	}
}

// moves is the id of an entry that moves a lot; nil where it does not.
func moves(e *core.Entry, lot string) *string {
	for i := range e.Postings {
		if e.Postings[i].Kind == core.AccountLot && e.Postings[i].Owner == lot {
			return &e.ID
		}
	}
	return nil
}

func (c *columns) addPayment(p *payments.Posting, at *places, tenant int32) {
	pay := &p.Payment
	lot, lots := int32(len(c.source.id)), int32(len(pay.Debit.Sources))
	for _, s := range pay.Debit.Sources {
		c.source.id, c.source.amount = append(c.source.id, s.GrantID), append(c.source.amount, s.AmountMinor)
	}
	if p.CodeHash == nil {
		d := &c.capture
		d.place, d.id, d.tenant = append(d.place, at.payment), append(d.id, pay.ID), append(d.tenant, tenant)
		d.entry, d.decision = append(d.entry, pay.EntryID), append(d.decision, string(pay.Decision))
		d.promo, d.actual, d.lot, d.lots = append(d.promo, pay.Debit.PromoMinor()), append(d.actual, pay.Debit.ActualMinor), append(d.lot, lot), append(d.lots, lots)
		d.at = append(d.at, p.At)
		return
	}
	d := &c.pay
	d.id, d.tenant, d.customer, d.session = append(d.id, pay.ID), append(d.tenant, tenant), append(d.customer, pay.CustomerID), append(d.session, null(pay.SessionID))
	d.amount, d.promo, d.actual = append(d.amount, pay.AmountMinor), append(d.promo, pay.Debit.PromoMinor()), append(d.actual, pay.Debit.ActualMinor)
	d.currency, d.credential, d.lot, d.lots = append(d.currency, pay.Currency), append(d.credential, pay.CredentialType), append(d.lot, lot), append(d.lots, lots)
	d.entry, d.decision = append(d.entry, pay.EntryID), append(d.decision, string(pay.Decision))
	d.brand, d.branch, d.terminal = append(d.brand, null(pay.BrandID)), append(d.branch, null(pay.BranchID)), append(d.terminal, null(pay.TerminalID))
	d.cashier, d.created = append(d.cashier, null(pay.CashierID)), append(d.created, pay.CreatedAt)
	d.at = append(d.at, p.At)
}

// list keeps an empty column an empty array: a nil slice would be null, whose
// cardinality compares with nothing.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
