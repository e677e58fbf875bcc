package ledger

import (
	"time"

	"github.com/feddi/feddi/core/app/payments"
)

// commitStatement writes any number of payments, or none of them. Each part is
// independent of the others and counts what it touched; a count that is less
// than asked means that somebody was faster, and undoes the whole statement.
// The counts are taken in the order in which every transaction locks: key,
// session, wallet, lots.
//
// A session's version and its wallet's stand for their state and for the lots:
// no state is asked for again, which would only let the planner choose a
// partial index on it.
const commitStatement = `
WITH idem AS (
	INSERT INTO idempotency (partner_id, mode, operation, key, payload_hash, created_at, expires_at, status, body)
	SELECT * FROM unnest($2::text[], $3::int2[], $4::text[], $5::uuid[], $6::bytea[], $7::timestamptz[], $8::timestamptz[], $9::int2[], $10::bytea[])
	ON CONFLICT (partner_id, mode, operation, key) DO UPDATE SET payload_hash = excluded.payload_hash, created_at = excluded.created_at,
		expires_at = excluded.expires_at, status = excluded.status, body = excluded.body
		WHERE idempotency.expires_at <= excluded.created_at
	RETURNING 1),
sess AS (
	UPDATE checkout_sessions s SET paid_minor = x.paid, customer_id = x.customer, credential_type = x.credential, probationary = false, version = s.version + 1
	FROM unnest($11::int4[], $12::text[], $13::int8[], $14::int8[], $15::text[], $16::text[]) x(tenant_no, id, version, paid, customer, credential)
	WHERE s.tenant_no = x.tenant_no AND s.session_id = x.id AND s.version = x.version
	RETURNING 1),
wal AS (
	UPDATE wallets w SET actual_minor = x.actual, promo_available_minor = x.promo, promo_locked_minor = x.locked,
		first_purchase_at = coalesce(w.first_purchase_at, $1), version = w.version + 1
	FROM unnest($17::int4[], $18::text[], $19::int8[], $20::int8[], $21::int8[], $22::int8[]) x(tenant_no, id, version, actual, promo, locked)
	WHERE w.tenant_no = x.tenant_no AND w.customer_id = x.id AND w.version = x.version
	RETURNING 1),
code AS (
	UPDATE payment_codes c SET used_at = $1
	FROM unnest($23::int4[], $24::bytea[]) x(tenant_no, hash)
	WHERE c.tenant_no = x.tenant_no AND c.code_hash = x.hash AND c.used_at IS NULL
	RETURNING 1),
lots AS (
	UPDATE grants g SET state = x.state, remaining_minor = x.remaining, released_at = x.released
	FROM unnest($25::int4[], $26::text[], $27::text[], $28::int8[], $29::timestamptz[]) x(tenant_no, id, state, remaining, released)
	WHERE g.tenant_no = x.tenant_no AND g.grant_id = x.id
	RETURNING 1),
pay AS (
	INSERT INTO payments (payment_id, tenant_no, customer_id, session_id, status, amount_minor, debited_promo_minor, debited_actual_minor,
		currency, credential_type, grant_ids, grant_minors, entry_id, brand_id, branch_id, terminal_id, cashier_id, decision, created_at, captured_at)
	SELECT id, tenant_no, customer, session, 'succeeded', amount, promo, actual, currency, credential,
		CASE WHEN lots > 0 THEN ($53::text[])[lot + 1 : lot + lots] END, CASE WHEN lots > 0 THEN ($54::int8[])[lot + 1 : lot + lots] END,
		entry, brand, branch, terminal, cashier, decision::json, created, $1
	FROM unnest($30::text[], $31::int4[], $32::text[], $33::text[], $34::int8[], $35::int8[], $36::int8[], $37::text[], $38::text[], $39::int4[], $40::int4[],
		$41::text[], $42::text[], $43::text[], $44::text[], $45::text[], $46::text[], $47::timestamptz[])
		x(id, tenant_no, customer, session, amount, promo, actual, currency, credential, lot, lots, entry, brand, branch, terminal, cashier, decision, created)
	ON CONFLICT (payment_id) DO UPDATE SET status = 'succeeded', debited_promo_minor = excluded.debited_promo_minor,
		debited_actual_minor = excluded.debited_actual_minor, grant_ids = excluded.grant_ids, grant_minors = excluded.grant_minors,
		entry_id = excluded.entry_id, decision = excluded.decision, captured_at = excluded.captured_at
		WHERE payments.status = 'requires_capture' AND payments.tenant_no = excluded.tenant_no
	RETURNING 1),
ent AS (
	INSERT INTO entries (entry_id, tenant_no, kind, ref_id, trace_id, at)
	SELECT entry, tenant_no, 'payment', id, trace, $1 FROM unnest($41::text[], $31::int4[], $30::text[], $48::text[]) x(entry, tenant_no, id, trace)),
post AS (
	INSERT INTO postings (entry_id, tenant_no, account, class, owner, currency, amount_minor)
	SELECT * FROM unnest($49::text[], $50::int4[], $51::int2[], $52::int2[], $55::text[], $56::text[], $57::int8[])),
dec AS (
	INSERT INTO decisions (decision_id, tenant_no, trace_id, kind, session_id, customer_id, amount_minor, state, actuator, actuator_version, card, at)
	SELECT id, tenant_no, trace, 'wallet_debit', session, customer, amount, 'taken', actuator, version, card::json, $1
	FROM unnest($58::text[], $59::int4[], $60::text[], $61::text[], $62::text[], $63::int8[], $64::text[], $65::text[], $66::text[])
		x(id, tenant_no, trace, session, customer, amount, actuator, version, card)),
ev AS (
	INSERT INTO events (event_id, tenant_no, type, subject, trace_id, data, at)
	SELECT id, tenant_no, type, subject, trace, data::json, $1
	FROM unnest($67::text[], $68::int4[], $69::text[], $70::text[], $71::text[], $72::text[]) x(id, tenant_no, type, subject, trace, data))
SELECT CASE
	WHEN (SELECT count(*) FROM idem) < cardinality($2::text[]) THEN ledger_stale('idempotency')
	WHEN (SELECT count(*) FROM sess) < cardinality($12::text[]) THEN ledger_stale('session')
	WHEN (SELECT count(*) FROM wal) < cardinality($18::text[]) THEN ledger_stale('wallet')
	WHEN (SELECT count(*) FROM code) < cardinality($24::bytea[]) THEN ledger_stale('code')
	WHEN (SELECT count(*) FROM lots) < cardinality($26::text[]) THEN ledger_stale('lot')
	WHEN (SELECT count(*) FROM pay) < cardinality($30::text[]) THEN ledger_stale('payment')
	ELSE true END`

// columns are a batch of payments as the arrays of commitStatement.
type columns struct {
	idem struct {
		partner, operation []string
		mode, status       []int16
		key                []*[16]byte
		hash, body         [][]byte
		created, expires   []time.Time
	}
	session struct {
		tenant        []int32
		id            []string
		version, paid []int64
		customer      []string
		credential    []string
	}
	wallet struct {
		tenant                         []int32
		id                             []string
		version, actual, promo, locked []int64
	}
	code struct {
		tenant []int32
		hash   [][]byte
	}
	lot struct {
		tenant    []int32
		id, state []string
		remaining []int64
		released  []*time.Time
	}
	pay struct {
		id, customer, currency, credential, entry, decision, trace []string
		tenant, lot, lots                                          []int32
		amount, promo, actual                                      []int64
		session, brand, branch, terminal, cashier                  []*string
		created                                                    []time.Time
	}
	sources struct { // of all payments, one after the other
		id     []string
		amount []int64
	}
	posting  postingArrays
	decision struct {
		id, trace, session, customer, actuator, version, card []string
		tenant                                                []int32
		amount                                                []int64
	}
	event struct {
		id, kind, subject, data []string
		tenant                  []int32
		trace                   []*string
	}
}

// grow makes room for n payments, where most of the columns have one each.
func (c *columns) grow(n int) {
	c.idem.partner, c.idem.operation = make([]string, 0, n), make([]string, 0, n)
	c.idem.mode, c.idem.status = make([]int16, 0, n), make([]int16, 0, n)
	c.idem.key, c.idem.hash, c.idem.body = make([]*[16]byte, 0, n), make([][]byte, 0, n), make([][]byte, 0, n)
	c.idem.created, c.idem.expires = make([]time.Time, 0, n), make([]time.Time, 0, n)
	c.wallet.tenant, c.wallet.id, c.wallet.version = make([]int32, 0, n), make([]string, 0, n), make([]int64, 0, n)
	c.wallet.actual, c.wallet.promo, c.wallet.locked = make([]int64, 0, n), make([]int64, 0, n), make([]int64, 0, n)
	c.code.tenant, c.code.hash = make([]int32, 0, n), make([][]byte, 0, n)
	p := &c.pay
	for _, s := range []*[]string{&p.id, &p.customer, &p.currency, &p.credential, &p.entry, &p.decision, &p.trace} {
		*s = make([]string, 0, n)
	}
	for _, s := range []*[]int64{&p.amount, &p.promo, &p.actual} {
		*s = make([]int64, 0, n)
	}
	for _, s := range []*[]*string{&p.session, &p.brand, &p.branch, &p.terminal, &p.cashier} {
		*s = make([]*string, 0, n)
	}
	p.tenant, p.lot, p.lots, p.created = make([]int32, 0, n), make([]int32, 0, n), make([]int32, 0, n), make([]time.Time, 0, n)
	l := &c.posting
	l.entry, l.currency, l.tenant = make([]string, 0, 3*n), make([]string, 0, 3*n), make([]int32, 0, 3*n)
	l.account, l.class = make([]int16, 0, 3*n), make([]int16, 0, 3*n)
	l.owner, l.amount = make([]*string, 0, 3*n), make([]int64, 0, 3*n)
	e := &c.event
	e.id, e.kind, e.subject, e.data = make([]string, 0, n), make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	e.tenant, e.trace = make([]int32, 0, n), make([]*string, 0, n)
}

func (c *columns) add(p *payments.Posting) error {
	for _, e := range p.Change.Entries {
		if err := e.Validate(); err != nil {
			return err
		}
		c.posting.add(e)
	}
	tenant := p.Payment.Tenant.No
	c.addPin(p)
	c.addWallet(p, tenant)
	c.addPayment(p, tenant)
	if s := p.Session; s != nil {
		d := &c.session
		d.tenant, d.id, d.version = append(d.tenant, tenant), append(d.id, s.ID), append(d.version, s.Version)
		d.paid, d.customer, d.credential = append(d.paid, s.PaidMinor), append(d.customer, s.CustomerID), append(d.credential, s.CredentialType)
	}
	if p.Decision != nil {
		c.addDecision(p, tenant)
	}
	for i := range p.Events {
		e := &p.Events[i]
		d := &c.event
		d.id, d.kind, d.subject = append(d.id, e.ID), append(d.kind, e.Type), append(d.subject, e.Subject)
		d.data, d.tenant, d.trace = append(d.data, string(e.Data)), append(d.tenant, tenant), append(d.trace, null(e.TraceID))
	}
	return nil
}

func (c *columns) addPin(p *payments.Posting) {
	if p.Pin == nil {
		return
	}
	d := &c.idem
	partner, mode, operation, key := scopeColumns(p.Pin.Scope)
	d.partner, d.mode, d.operation, d.key = append(d.partner, partner), append(d.mode, mode), append(d.operation, operation), append(d.key, key)
	d.hash, d.body = append(d.hash, p.Pin.PayloadHash[:]), append(d.body, p.Pin.Outcome.Body)
	d.status = append(d.status, int16(p.Pin.Outcome.Status))
	d.created, d.expires = append(d.created, p.Pin.CreatedAt), append(d.expires, p.Pin.ExpiresAt)
}

func (c *columns) addWallet(p *payments.Posting, tenant int32) {
	w := &p.Change.Wallet
	d := &c.wallet
	d.tenant, d.id, d.version = append(d.tenant, tenant), append(d.id, w.CustomerID), append(d.version, w.Version)
	d.actual, d.promo, d.locked = append(d.actual, w.ActualMinor), append(d.promo, w.PromoAvailableMinor), append(d.locked, w.PromoLockedMinor)
	if p.CodeHash != nil {
		c.code.tenant, c.code.hash = append(c.code.tenant, tenant), append(c.code.hash, p.CodeHash)
	}
	for _, g := range p.Change.Grants {
		c.lot.tenant, c.lot.id, c.lot.state = append(c.lot.tenant, tenant), append(c.lot.id, g.ID), append(c.lot.state, string(g.State))
		c.lot.remaining, c.lot.released = append(c.lot.remaining, g.RemainingMinor), append(c.lot.released, g.ReleasedAt)
	}
}

func (c *columns) addPayment(p *payments.Posting, tenant int32) {
	d, pay := &c.pay, &p.Payment
	d.id, d.tenant, d.customer, d.session = append(d.id, pay.ID), append(d.tenant, tenant), append(d.customer, pay.CustomerID), append(d.session, null(pay.SessionID))
	d.amount, d.promo, d.actual = append(d.amount, pay.AmountMinor), append(d.promo, pay.Debit.PromoMinor()), append(d.actual, pay.Debit.ActualMinor)
	d.currency, d.credential = append(d.currency, pay.Currency), append(d.credential, pay.CredentialType)
	d.lot, d.lots = append(d.lot, int32(len(c.sources.id))), append(d.lots, int32(len(pay.Debit.Sources)))
	for _, s := range pay.Debit.Sources {
		c.sources.id, c.sources.amount = append(c.sources.id, s.GrantID), append(c.sources.amount, s.AmountMinor)
	}
	d.entry, d.decision, d.trace = append(d.entry, pay.EntryID), append(d.decision, string(pay.Decision)), append(d.trace, p.Change.Entries[0].TraceID)
	d.brand, d.branch, d.terminal = append(d.brand, null(pay.BrandID)), append(d.branch, null(pay.BranchID)), append(d.terminal, null(pay.TerminalID))
	d.cashier, d.created = append(d.cashier, null(pay.CashierID)), append(d.created, pay.CreatedAt)
}

func (c *columns) addDecision(p *payments.Posting, tenant int32) {
	d, x := &c.decision, p.Decision
	d.id, d.tenant, d.trace = append(d.id, x.ID), append(d.tenant, tenant), append(d.trace, x.TraceID)
	d.session, d.customer, d.amount = append(d.session, x.SessionID), append(d.customer, x.CustomerID), append(d.amount, x.AmountMinor)
	d.actuator, d.version = append(d.actuator, x.Actuator), append(d.version, x.ActuatorVersion)
	d.card = append(d.card, string(cardJSON(x.Card)))
}

// args are the columns in the order of commitStatement's parameters.
func (c *columns) args(now time.Time) []any {
	i, s, w, k, l, p, q, d, e := &c.idem, &c.session, &c.wallet, &c.code, &c.lot, &c.pay, &c.posting, &c.decision, &c.event
	return []any{
		now,
		list(i.partner), list(i.mode), list(i.operation), list(i.key), list(i.hash), list(i.created), list(i.expires), list(i.status), list(i.body),
		list(s.tenant), list(s.id), list(s.version), list(s.paid), list(s.customer), list(s.credential),
		w.tenant, w.id, w.version, w.actual, w.promo, w.locked,
		list(k.tenant), list(k.hash),
		list(l.tenant), list(l.id), list(l.state), list(l.remaining), list(l.released),
		p.id, p.tenant, p.customer, p.session, p.amount, p.promo, p.actual, p.currency, p.credential, p.lot, p.lots,
		p.entry, p.brand, p.branch, p.terminal, p.cashier, p.decision, p.created, p.trace,
		q.entry, q.tenant, q.account, q.class, list(c.sources.id), list(c.sources.amount), q.owner, q.currency, q.amount,
		list(d.id), list(d.tenant), list(d.trace), list(d.session), list(d.customer), list(d.amount), list(d.actuator), list(d.version), list(d.card),
		list(e.id), list(e.tenant), list(e.kind), list(e.subject), list(e.trace), list(e.data),
	}
}

// list keeps an empty column an empty array: a nil slice would be null, whose
// cardinality compares with nothing.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
