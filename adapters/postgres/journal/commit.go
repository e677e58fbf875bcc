package journal

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/feddi/feddi/adapters/postgres/ledger"
	"github.com/feddi/feddi/core/app/payments"
	core "github.com/feddi/feddi/core/ledger"
)

// A commit writes any number of payments, or none of them. Each part is
// independent of the others and counts what it touched; a count that is less
// than asked means that somebody was faster, and undoes the whole statement.
// The counts are taken in the order in which every transaction locks: key,
// session, wallet, lots. A part that a batch has no rows for is left out: it
// costs each batch its start, also where it writes nothing.
//
// A row that was read is found again by its place (ctid), which costs no search.
// A place holds another row, or none, once somebody changed what was there: then
// the count is less. Id and version are compared all the same. Names in braces are columns
// of parameters, "{wallet: id, at}" the rows that some of them make.
type part struct {
	name, sql string
	guard     string                // the column of which each element is a row that has to be touched
	rare      func(*columns) *array // has elements where the part has rows; nil for what every batch has
}

var parts = []part{
	{name: "idem", sql: `
	INSERT INTO idempotency (partner_id, mode, operation, key, payload_hash, created_at, expires_at, status, body)
	SELECT * FROM {key: partner, mode, operation, key, hash, created, expires, status, body} x`},
	{name: "session", guard: "session.id", rare: func(c *columns) *array { return &c.session.id }, sql: `
	UPDATE checkout_sessions s SET paid_minor = x.paid, customer_id = x.customer, credential_type = x.credential, probationary = false, version = s.version + 1
	FROM {session: place, tenant, id, version, paid, customer, credential} x
	WHERE s.ctid = x.place AND s.tenant_no = x.tenant AND s.session_id = x.id AND s.version = x.version
	RETURNING 1`},
	{name: "wallet", guard: "wallet.id", sql: `
	UPDATE wallets w SET actual_minor = x.actual, promo_available_minor = x.promo, promo_locked_minor = x.locked,
		first_purchase_at = coalesce(w.first_purchase_at, x.at), version = w.version + 1
	FROM {wallet: place, tenant, id, version, actual, promo, locked, at} x
	WHERE w.ctid = x.place AND w.tenant_no = x.tenant AND w.customer_id = x.id AND w.version = x.version
	RETURNING 1`},
	{name: "code", guard: "code.hash", sql: `
	UPDATE payment_codes c SET used_at = x.at
	FROM {code: place, tenant, hash, at} x
	WHERE c.ctid = x.place AND c.tenant_no = x.tenant AND c.code_hash = x.hash AND c.used_at IS NULL
	RETURNING 1`},
	{name: "lot", guard: "lot.id", rare: func(c *columns) *array { return &c.lot.id }, sql: `
	UPDATE grants g SET state = x.state, remaining_minor = x.remaining, released_at = x.released,
		entry_ids = CASE WHEN x.entry IS NULL THEN g.entry_ids ELSE g.entry_ids || x.entry END
	FROM {lot: place, tenant, id, state, remaining, released, entry} x
	WHERE g.ctid = x.place AND g.tenant_no = x.tenant AND g.grant_id = x.id
	RETURNING 1`},
	{name: "pay", sql: `
	INSERT INTO payments (payment_id, tenant_no, customer_id, session_id, status, amount_minor, debited_promo_minor, debited_actual_minor,
		currency, credential_type, grant_ids, grant_minors, entry_id, brand_id, branch_id, terminal_id, cashier_id, decision, created_at, captured_at)
	SELECT id, tenant, customer, session, 'succeeded', amount, promo, actual, currency, credential,
		CASE WHEN lots > 0 THEN ({source.id})[lot + 1 : lot + lots] END, CASE WHEN lots > 0 THEN ({source.amount})[lot + 1 : lot + lots] END,
		entry, brand, branch, terminal, cashier, decision, created, at
	FROM {pay: id, tenant, customer, session, amount, promo, actual, currency, credential, lot, lots, entry, brand, branch, terminal, cashier, decision, created, at} x`},
	// Payments that waited for a code.
	{name: "capture", guard: "capture.id", rare: func(c *columns) *array { return &c.capture.id }, sql: `
	UPDATE payments p SET status = 'succeeded', debited_promo_minor = x.promo, debited_actual_minor = x.actual,
		grant_ids = CASE WHEN x.lots > 0 THEN ({source.id})[x.lot + 1 : x.lot + x.lots] END,
		grant_minors = CASE WHEN x.lots > 0 THEN ({source.amount})[x.lot + 1 : x.lot + x.lots] END,
		entry_id = x.entry, decision = x.decision, captured_at = x.at
	FROM {capture: place, id, tenant, promo, actual, lot, lots, entry, decision, at} x
	WHERE p.ctid = x.place AND p.payment_id = x.id AND p.tenant_no = x.tenant AND p.status = 'requires_capture'
	RETURNING 1`},
	{name: "entry", sql: `
	INSERT INTO entries (entry_id, tenant_no, kind, ref_id, trace_id, at, currency, accounts, classes, owners, amounts)
	SELECT id, tenant, 'payment', payment, trace, at, currency, ({line.account})[line : line + lines - 1], ({line.class})[line : line + lines - 1],
		({line.owner})[line : line + lines - 1], ({line.amount})[line : line + lines - 1]
	FROM {entry: id, tenant, payment, trace, at, currency, line, lines} x`},
	{name: "event", sql: `
	INSERT INTO events (event_id, tenant_no, type, subject, trace_id, data, at)
	SELECT id, tenant, type, subject, trace, data, at FROM {event: id, tenant, type, subject, trace, data, at} x`},
}

// columns are a batch of payments as the arrays of a commit.
type columns struct {
	key struct {
		partner, mode, operation, key, hash, created, expires, status, body array
	}
	session struct {
		place, tenant, id, version, paid, customer, credential array
	}
	wallet struct {
		place, tenant, id, version, actual, promo, locked, at array
	}
	code struct {
		place, tenant, hash, at array
	}
	lot struct {
		place, tenant, id, state, remaining, released,
		entry array // null where the lot was only released
	}
	pay struct { // new ones
		id, tenant, customer, session, amount, promo, actual, currency, credential, lot, lots, entry,
		brand, branch, terminal, cashier, decision, created, at array
	}
	capture struct { // those that waited for a code
		place, id, tenant, promo, actual, lot, lots, entry, decision, at array
	}
	source struct { // of all payments, one after the other
		id, amount array
	}
	entry struct {
		id, tenant, payment, trace, at, currency, line, lines array // lines from line on, counted from 1
	}
	line struct { // of all entries, one after the other
		account, class, owner, amount array
	}
	event struct {
		id, tenant, kind, subject, trace, data, at array
	}
}

// parameter is a column of commitTemplate.
type parameter struct {
	name   string
	of     uint32 // the type of an element
	column func(c *columns) *array
}

// parameters in the order in which they are bound.
var parameters = []parameter{
	{"key.partner", ofText, func(c *columns) *array { return &c.key.partner }},
	{"key.mode", ofInt2, func(c *columns) *array { return &c.key.mode }},
	{"key.operation", ofText, func(c *columns) *array { return &c.key.operation }},
	{"key.key", ofUUID, func(c *columns) *array { return &c.key.key }},
	{"key.hash", ofBytea, func(c *columns) *array { return &c.key.hash }},
	{"key.created", ofTime, func(c *columns) *array { return &c.key.created }},
	{"key.expires", ofTime, func(c *columns) *array { return &c.key.expires }},
	{"key.status", ofInt2, func(c *columns) *array { return &c.key.status }},
	{"key.body", ofBytea, func(c *columns) *array { return &c.key.body }},
	{"session.place", ofTID, func(c *columns) *array { return &c.session.place }},
	{"session.tenant", ofInt4, func(c *columns) *array { return &c.session.tenant }},
	{"session.id", ofText, func(c *columns) *array { return &c.session.id }},
	{"session.version", ofInt8, func(c *columns) *array { return &c.session.version }},
	{"session.paid", ofInt8, func(c *columns) *array { return &c.session.paid }},
	{"session.customer", ofText, func(c *columns) *array { return &c.session.customer }},
	{"session.credential", ofText, func(c *columns) *array { return &c.session.credential }},
	{"wallet.place", ofTID, func(c *columns) *array { return &c.wallet.place }},
	{"wallet.tenant", ofInt4, func(c *columns) *array { return &c.wallet.tenant }},
	{"wallet.id", ofText, func(c *columns) *array { return &c.wallet.id }},
	{"wallet.version", ofInt8, func(c *columns) *array { return &c.wallet.version }},
	{"wallet.actual", ofInt8, func(c *columns) *array { return &c.wallet.actual }},
	{"wallet.promo", ofInt8, func(c *columns) *array { return &c.wallet.promo }},
	{"wallet.locked", ofInt8, func(c *columns) *array { return &c.wallet.locked }},
	{"wallet.at", ofTime, func(c *columns) *array { return &c.wallet.at }},
	{"code.place", ofTID, func(c *columns) *array { return &c.code.place }},
	{"code.tenant", ofInt4, func(c *columns) *array { return &c.code.tenant }},
	{"code.hash", ofBytea, func(c *columns) *array { return &c.code.hash }},
	{"code.at", ofTime, func(c *columns) *array { return &c.code.at }},
	{"lot.place", ofTID, func(c *columns) *array { return &c.lot.place }},
	{"lot.tenant", ofInt4, func(c *columns) *array { return &c.lot.tenant }},
	{"lot.id", ofText, func(c *columns) *array { return &c.lot.id }},
	{"lot.state", ofText, func(c *columns) *array { return &c.lot.state }},
	{"lot.remaining", ofInt8, func(c *columns) *array { return &c.lot.remaining }},
	{"lot.released", ofTime, func(c *columns) *array { return &c.lot.released }},
	{"lot.entry", ofText, func(c *columns) *array { return &c.lot.entry }},
	{"pay.id", ofText, func(c *columns) *array { return &c.pay.id }},
	{"pay.tenant", ofInt4, func(c *columns) *array { return &c.pay.tenant }},
	{"pay.customer", ofText, func(c *columns) *array { return &c.pay.customer }},
	{"pay.session", ofText, func(c *columns) *array { return &c.pay.session }},
	{"pay.amount", ofInt8, func(c *columns) *array { return &c.pay.amount }},
	{"pay.promo", ofInt8, func(c *columns) *array { return &c.pay.promo }},
	{"pay.actual", ofInt8, func(c *columns) *array { return &c.pay.actual }},
	{"pay.currency", ofText, func(c *columns) *array { return &c.pay.currency }},
	{"pay.credential", ofText, func(c *columns) *array { return &c.pay.credential }},
	{"pay.lot", ofInt4, func(c *columns) *array { return &c.pay.lot }},
	{"pay.lots", ofInt4, func(c *columns) *array { return &c.pay.lots }},
	{"pay.entry", ofText, func(c *columns) *array { return &c.pay.entry }},
	{"pay.brand", ofText, func(c *columns) *array { return &c.pay.brand }},
	{"pay.branch", ofText, func(c *columns) *array { return &c.pay.branch }},
	{"pay.terminal", ofText, func(c *columns) *array { return &c.pay.terminal }},
	{"pay.cashier", ofText, func(c *columns) *array { return &c.pay.cashier }},
	{"pay.decision", ofBytea, func(c *columns) *array { return &c.pay.decision }},
	{"pay.created", ofTime, func(c *columns) *array { return &c.pay.created }},
	{"pay.at", ofTime, func(c *columns) *array { return &c.pay.at }},
	{"capture.place", ofTID, func(c *columns) *array { return &c.capture.place }},
	{"capture.id", ofText, func(c *columns) *array { return &c.capture.id }},
	{"capture.tenant", ofInt4, func(c *columns) *array { return &c.capture.tenant }},
	{"capture.promo", ofInt8, func(c *columns) *array { return &c.capture.promo }},
	{"capture.actual", ofInt8, func(c *columns) *array { return &c.capture.actual }},
	{"capture.lot", ofInt4, func(c *columns) *array { return &c.capture.lot }},
	{"capture.lots", ofInt4, func(c *columns) *array { return &c.capture.lots }},
	{"capture.entry", ofText, func(c *columns) *array { return &c.capture.entry }},
	{"capture.decision", ofBytea, func(c *columns) *array { return &c.capture.decision }},
	{"capture.at", ofTime, func(c *columns) *array { return &c.capture.at }},
	{"source.id", ofText, func(c *columns) *array { return &c.source.id }},
	{"source.amount", ofInt8, func(c *columns) *array { return &c.source.amount }},
	{"entry.id", ofText, func(c *columns) *array { return &c.entry.id }},
	{"entry.tenant", ofInt4, func(c *columns) *array { return &c.entry.tenant }},
	{"entry.payment", ofText, func(c *columns) *array { return &c.entry.payment }},
	{"entry.trace", ofText, func(c *columns) *array { return &c.entry.trace }},
	{"entry.at", ofTime, func(c *columns) *array { return &c.entry.at }},
	{"entry.currency", ofText, func(c *columns) *array { return &c.entry.currency }},
	{"entry.line", ofInt4, func(c *columns) *array { return &c.entry.line }},
	{"entry.lines", ofInt4, func(c *columns) *array { return &c.entry.lines }},
	{"line.account", ofInt2, func(c *columns) *array { return &c.line.account }},
	{"line.class", ofInt2, func(c *columns) *array { return &c.line.class }},
	{"line.owner", ofText, func(c *columns) *array { return &c.line.owner }},
	{"line.amount", ofInt8, func(c *columns) *array { return &c.line.amount }},
	{"event.id", ofText, func(c *columns) *array { return &c.event.id }},
	{"event.tenant", ofInt4, func(c *columns) *array { return &c.event.tenant }},
	{"event.type", ofText, func(c *columns) *array { return &c.event.kind }},
	{"event.subject", ofText, func(c *columns) *array { return &c.event.subject }},
	{"event.trace", ofText, func(c *columns) *array { return &c.event.trace }},
	{"event.data", ofText, func(c *columns) *array { return &c.event.data }},
	{"event.at", ofTime, func(c *columns) *array { return &c.event.at }},
}

// commit is a statement of some parts, of which each connection that runs it
// keeps the plan.
type commit struct {
	name, sql  string
	parameters []bound
}

// bound is a parameter of a statement, as an array or, in a relation of one row,
// as a value.
type bound struct {
	parameter
	one bool
}

// shape is what a statement is made for: bits for its parts, and for those of
// relations that have one row.
type shape struct{ parts, ones uint }

// commits are the statements that were needed so far, by shape.
var commits sync.Map

// commitOf is the statement of a shape.
func commitOf(s shape) *commit {
	c := &commit{name: "commit"}
	var bodies, guards []string
	for i, p := range parts {
		if s.parts>>i&1 == 0 {
			continue
		}
		if p.rare != nil {
			c.name += "_" + p.name
		}
		bodies = append(bodies, p.name+" AS ("+p.sql+")")
		switch {
		case p.guard == "":
		case s.one(p.guard):
			guards = append(guards, "WHEN NOT EXISTS (SELECT FROM "+p.name+") THEN ledger_stale('"+p.name+"')")
		default:
			guards = append(guards, "WHEN (SELECT count(*) FROM "+p.name+") < cardinality({"+p.guard+"}) THEN ledger_stale('"+p.name+"')")
		}
	}
	if s.ones != 0 {
		c.name += fmt.Sprintf("_%x", s.ones)
	}
	c.sql = rowsOf.ReplaceAllStringFunc("WITH "+strings.Join(bodies, ",\n")+"\nSELECT CASE\n"+strings.Join(guards, "\n")+"\nELSE true END", s.rows)
	var numbers []string
	for _, p := range parameters {
		if strings.Contains(c.sql, "{"+p.name+"}") {
			b := bound{p, s.one(p.name)}
			c.parameters = append(c.parameters, b)
			numbers = append(numbers, "{"+p.name+"}", "$"+strconv.Itoa(len(c.parameters))+"::"+b.cast())
		}
	}
	c.sql = strings.NewReplacer(numbers...).Replace(c.sql)
	return c
}

func (b bound) cast() string {
	if b.one {
		return types[b.of]
	}
	return types[b.of] + "[]"
}

// commit is the statement that writes the columns: all parts but the rare ones
// that have no rows.
func (c *columns) commit() *commit {
	var s shape
	for i, p := range parts {
		if p.rare == nil || p.rare(c).n > 0 {
			s.parts |= 1 << i
		}
	}
	// Of a payment that travels alone. In others, one row is chance, and as many
	// statements would be prepared as there are chances.
	if c.entry.id.n == 1 {
		for i, r := range relations {
			if r.column(c).n == 1 {
				s.ones |= 1 << i
			}
		}
	}
	if made, ok := commits.Load(s); ok {
		return made.(*commit)
	}
	made, _ := commits.LoadOrStore(s, commitOf(s))
	return made.(*commit)
}

var rowsOf = regexp.MustCompile(`\{(\w+): ([^}]+)\}`)

// relations are the first columns of what is in braces in the parts.
var relations = func() (first []parameter) {
	for _, p := range parts {
		for _, r := range rowsOf.FindAllStringSubmatch(p.sql, -1) {
			column, _, _ := strings.Cut(r[2], ",")
			i := slices.IndexFunc(parameters, func(p parameter) bool { return p.name == r[1]+"."+column })
			first = append(first, parameters[i])
		}
	}
	return first
}()

// one reports whether the relation of a column has one row.
func (s shape) one(column string) bool {
	relation, _, _ := strings.Cut(column, ".")
	i := slices.IndexFunc(relations, func(p parameter) bool { return strings.HasPrefix(p.name, relation+".") })
	return i >= 0 && s.ones>>i&1 == 1
}

// rows is a relation whose columns are parameters, "{wallet: id, at}". Arrays it
// takes by the number of the element: unnest would put each array through a store of
// its own, which costs as much as writing the rows where there are few. One row is
// a row of values, which costs Postgres less to begin than the walk through arrays.
func (s shape) rows(relation string) string {
	part := rowsOf.FindStringSubmatch(relation)
	columns := strings.Split(part[2], ", ")
	element, from := "[i]", " FROM generate_series(1, cardinality({"+part[1]+"."+columns[0]+"})) i"
	if s.one(part[1] + "." + columns[0]) {
		element, from = "", ""
	}
	for i, c := range columns {
		columns[i] = "({" + part[1] + "." + c + "})" + element + " AS " + c
	}
	return "(SELECT " + strings.Join(columns, ", ") + from + ")"
}

// binary are the columns as the statement's parameters.
func (s *commit) binary(c *columns) [][]byte {
	out := make([][]byte, len(s.parameters))
	for i, p := range s.parameters {
		if a := p.column(c); p.one {
			out[i] = a.only()
		} else {
			out[i] = a.encode(p.of)
		}
	}
	return out
}

func (c *columns) reset() {
	for _, p := range parameters {
		p.column(c).reset()
	}
}

func (c *columns) add(p *payments.Posting) error {
	if len(p.Change.Entries) != 1 {
		return fmt.Errorf("a payment has one entry, %s has %d", p.Payment.ID, len(p.Change.Entries))
	}
	entry := &p.Change.Entries[0]
	if err := entry.Validate(); err != nil {
		return err
	}
	c.addEntry(entry)
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
		d.place.place(at.session)
		d.tenant.int4(tenant)
		d.id.text(s.ID)
		d.version.int8(s.Version)
		d.paid.int8(s.PaidMinor)
		d.customer.text(s.CustomerID)
		d.credential.text(s.CredentialType)
	}
	for i := range p.Events {
		e := &p.Events[i]
		d := &c.event
		d.id.text(e.ID)
		d.tenant.int4(tenant)
		d.kind.text(e.Type)
		d.subject.text(e.Subject)
		d.trace.word(e.TraceID)
		d.data.bytes(e.Data)
		d.at.time(p.At)
	}
	return nil
}

func (c *columns) addEntry(e *core.Entry) {
	d := &c.entry
	d.id.text(e.ID)
	d.tenant.int4(e.Tenant.No)
	d.payment.text(e.RefID)
	d.trace.word(e.TraceID)
	d.at.time(e.At)
	d.currency.text(e.Currency)
	d.line.int4(int32(c.line.amount.n + 1))
	d.lines.int4(int32(len(e.Postings)))
	for i := range e.Postings {
		line := &e.Postings[i]
		c.line.account.int2(int16(line.Kind))
		c.line.class.int2(ledger.ClassCode(line.Class))
		c.line.owner.word(line.Owner)
		c.line.amount.int8(line.AmountMinor)
	}
}

func (c *columns) addKey(p *payments.Posting) {
	if p.Pin == nil {
		return
	}
	d := &c.key
	partner, mode, operation, key := scopeColumns(p.Pin.Scope)
	d.partner.text(partner)
	d.mode.int2(mode)
	d.operation.text(operation)
	d.key.uuid(key)
	d.hash.bytes(p.Pin.PayloadHash[:])
	d.created.time(p.Pin.CreatedAt)
	d.expires.time(p.Pin.ExpiresAt)
	d.status.int2(int16(p.Pin.Outcome.Status))
	d.body.bytes(p.Pin.Outcome.Body)
}

func (c *columns) addWallet(p *payments.Posting, at *places, tenant int32) {
	w := &p.Change.Wallet
	d := &c.wallet
	d.place.place(at.wallet)
	d.tenant.int4(tenant)
	d.id.text(w.CustomerID)
	d.version.int8(w.Version)
	d.actual.int8(w.ActualMinor)
	d.promo.int8(w.PromoAvailableMinor)
	d.locked.int8(w.PromoLockedMinor)
	d.at.time(p.At)
	if p.CodeHash != nil {
		k := &c.code
		k.place.place(at.code)
		k.tenant.int4(tenant)
		k.hash.bytes(p.CodeHash)
		k.at.time(p.At)
	}
	for i := range p.Change.Grants {
		g := &p.Change.Grants[i]
		l := &c.lot
		l.place.place(at.lot(g.ID))
		l.tenant.int4(tenant)
		l.id.text(g.ID)
		l.state.text(string(g.State))
		l.remaining.int8(g.RemainingMinor)
		l.released.maybeTime(g.ReleasedAt)
		l.entry.word(moves(&p.Change.Entries[0], g.ID))
	}
}

// moves is the id of an entry that moves a lot; none where it does not.
func moves(e *core.Entry, lot string) string {
	for i := range e.Postings {
		if e.Postings[i].Kind == core.AccountLot && e.Postings[i].Owner == lot {
			return e.ID
		}
	}
	return ""
}

func (c *columns) addPayment(p *payments.Posting, at *places, tenant int32) {
	pay := &p.Payment
	lot, lots := int32(c.source.id.n), int32(len(pay.Debit.Sources))
	for _, s := range pay.Debit.Sources {
		c.source.id.text(s.GrantID)
		c.source.amount.int8(s.AmountMinor)
	}
	if p.CodeHash == nil {
		c.addCapture(p, at, tenant, lot, lots)
		return
	}
	d := &c.pay
	d.id.text(pay.ID)
	d.tenant.int4(tenant)
	d.customer.text(pay.CustomerID)
	d.session.word(pay.SessionID)
	d.amount.int8(pay.AmountMinor)
	d.promo.int8(pay.Debit.PromoMinor())
	d.actual.int8(pay.Debit.ActualMinor)
	d.currency.text(pay.Currency)
	d.credential.text(pay.CredentialType)
	d.lot.int4(lot)
	d.lots.int4(lots)
	d.entry.text(pay.EntryID)
	d.brand.word(pay.BrandID)
	d.branch.word(pay.BranchID)
	d.terminal.word(pay.TerminalID)
	d.cashier.word(pay.CashierID)
	d.decision.bytes(p.Decision)
	d.created.time(pay.CreatedAt)
	d.at.time(p.At)
}

func (c *columns) addCapture(p *payments.Posting, at *places, tenant, lot, lots int32) {
	pay := &p.Payment
	d := &c.capture
	d.place.place(at.payment)
	d.id.text(pay.ID)
	d.tenant.int4(tenant)
	d.promo.int8(pay.Debit.PromoMinor())
	d.actual.int8(pay.Debit.ActualMinor)
	d.lot.int4(lot)
	d.lots.int4(lots)
	d.entry.text(pay.EntryID)
	d.decision.bytes(p.Decision)
	d.at.time(p.At)
}
