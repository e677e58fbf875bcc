package audit

// The checks give a row (tenant_no, what, account, stored, derived) for each
// figure that does not follow. Sums are numeric, so that none overflows.

// ofEntries are the checks of entries from $1 to before $2, and of what is kept
// by their id.
var ofEntries = []string{
	// Every entry balances per class, and its lines are whole. The constraints of
	// the table say the same, to who left them in their place.
	`WITH bad AS MATERIALIZED (SELECT *, ` + wholeLines + ` AS lined FROM entries
		WHERE ` + within("entry_id") + ` AND NOT (` + wholeLines + ` AND ` + balanced + `))
	SELECT tenant_no, 'entry.lines', entry_id, 1::bigint, cardinality(amounts)::bigint FROM bad WHERE NOT lined
	UNION ALL
	SELECT tenant_no, 'entry', entry_id, 0::bigint, sum(amount)::bigint
	FROM (SELECT tenant_no, entry_id, unnest(classes) AS class, unnest(amounts) AS amount FROM bad) line
	GROUP BY tenant_no, entry_id, class HAVING sum(amount) <> 0`,
	// Every line of a settlement batch, and every gathered entry.
	`WITH moved AS (
		SELECT tenant_no, entry_id, CASE WHEN ` + theirs("accounts[1]") + ` THEN classes[1] ELSE classes[2] END AS class, currency, xid,
			CASE WHEN ` + theirs("accounts[1]") + ` THEN amounts[1] ELSE amounts[2] END AS sum
		FROM entries WHERE ` + within("entry_id") + ` AND ` + oneOfTwo + `
		UNION ALL
		SELECT tenant_no, entry_id, class, currency, xid, sum(amount)::bigint AS sum FROM (
			SELECT tenant_no, entry_id, currency, xid, unnest(accounts) AS account, unnest(classes) AS class, unnest(amounts) AS amount
			FROM entries WHERE ` + within("entry_id") + ` AND (` + oneOfTwo + `) IS NOT TRUE) line
		WHERE ` + theirs("account") + ` GROUP BY 1, 2, 3, 4, 5 HAVING sum(amount) <> 0),
	lines AS (SELECT tenant_no, entry_id, class, currency, amount_minor FROM settlement_lines WHERE ` + within("entry_id") + `)
	SELECT coalesce(l.tenant_no, p.tenant_no), CASE WHEN l.entry_id IS NULL THEN 'settlement.missing' ELSE 'settlement.line' END,
		coalesce(l.entry_id, p.entry_id), coalesce(l.amount_minor, 0), coalesce(p.sum, 0)
	FROM lines l FULL JOIN moved p ON p.tenant_no = l.tenant_no AND p.entry_id = l.entry_id AND p.class = l.class AND p.currency = l.currency
	WHERE CASE WHEN l.entry_id IS NULL THEN p.xid < (SELECT xid FROM settlement_gathering) ELSE l.amount_minor <> coalesce(p.sum, 0) END`,
	// Every entry is named by the lots that it has lines of.
	`SELECT l.tenant_no, 'lot.entries', l.owner, 0::bigint, 1::bigint
	FROM (SELECT tenant_no, entry_id, unnest(accounts) AS account, unnest(owners) AS owner FROM entries WHERE ` + within("entry_id") + ` AND 2 = ANY (accounts)) l
	LEFT JOIN grants g ON g.tenant_no = l.tenant_no AND g.grant_id = l.owner
	WHERE l.account = 2 AND (l.entry_id = ANY (g.entry_ids)) IS NOT TRUE`,
}

// wholeLines and balanced are entries_lines and entries_zero_sum, the constraints.
const (
	wholeLines = `((cardinality(amounts) >= 2 AND array_ndims(amounts) = 1
		AND cardinality(accounts) = cardinality(amounts) AND cardinality(classes) = cardinality(amounts) AND cardinality(owners) = cardinality(amounts)
		AND 1 <= ALL (accounts) AND 13 >= ALL (accounts) AND 1 <= ALL (classes) AND 5 >= ALL (classes) AND 0 <> ALL (amounts)) IS TRUE)`
	balanced = `((cardinality(amounts) = 2 AND classes[1] = classes[2] AND amounts[1] = -amounts[2] OR entry_balances(classes, amounts)) IS TRUE)`
)

// theirs is true for accounts on the customers' side: wallet, lot, points, gift.
func theirs(account string) string { return account + ` IN (1, 2, 9, 10)` }

// oneOfTwo are entries of two lines, one of them on the customers' side: most are,
// and there is nothing to add up.
var oneOfTwo = `cardinality(accounts) = 2 AND (` + theirs("accounts[1]") + `) <> (` + theirs("accounts[2]") + `)`

// within are rows from $1 to before $2.
func within(key string) string {
	return `(` + key + ` >= coalesce($1, '') AND ($2::text IS NULL OR ` + key + ` < $2))`
}

// ofPayments are the checks of payments from $1 to before $2: each is what its
// entry took from the payer. Payments and their entries are made together, so that
// a range of the ones lies in one of the others, which bounds what is read; the
// entry of most has two lines.
var ofPayments = []string{
	`WITH p AS MATERIALIZED (SELECT tenant_no, payment_id, entry_id, amount_minor FROM payments
		WHERE ` + within("payment_id") + ` AND status NOT IN ('requires_capture', 'failed'))
	SELECT p.tenant_no, 'payment.amount_minor', p.payment_id, p.amount_minor, coalesce(took.sum, 0)::bigint
	FROM p LEFT JOIN (SELECT * FROM entries WHERE entry_id BETWEEN (SELECT min(entry_id) FROM p) AND (SELECT max(entry_id) FROM p)) e
		ON e.tenant_no = p.tenant_no AND e.entry_id = p.entry_id
	CROSS JOIN LATERAL (SELECT CASE WHEN cardinality(e.amounts) = 2 AND e.accounts[1] IN (1, 2) AND e.accounts[2] NOT IN (1, 2) THEN -e.amounts[1]::numeric
		ELSE -` + sumOf("1, 2") + ` END AS sum) took
	WHERE p.amount_minor <> coalesce(took.sum, 0)`,
}

// sumOf adds up the lines of entry e in some accounts; null where it has none.
func sumOf(accounts string) string {
	return `(SELECT sum(amount) FROM unnest(e.accounts, e.amounts) line(account, amount) WHERE account IN (` + accounts + `))`
}

// whole are the checks of all of the books, with what they cost beside all parts.
var whole = []struct {
	weight float64
	sql    string
}{
	// What wallets hold of actual money, lots of credit, customers of points; and
	// from what lots hold, the promotional figures of wallets.
	{0.4, `WITH sums AS MATERIALIZED (
		SELECT tenant_no, account, owner, currency, sum(amount) AS sum, count(*) AS lines FROM (
			SELECT tenant_no, currency, unnest(accounts) AS account, unnest(owners) AS owner, unnest(amounts) AS amount FROM entries) line
		WHERE account IN (1, 2, 9) GROUP BY 1, 2, 3, 4)
	SELECT coalesce(w.tenant_no, p.tenant_no), 'wallet.actual_minor', coalesce(w.customer_id, p.owner), coalesce(w.actual_minor, 0), coalesce(p.sum, 0)::bigint
	FROM wallets w FULL JOIN (SELECT * FROM sums WHERE account = 1) p ON p.tenant_no = w.tenant_no AND p.owner = w.customer_id AND p.currency = w.currency
	WHERE coalesce(w.actual_minor, 0) <> coalesce(p.sum, 0)
	UNION ALL
	SELECT coalesce(g.tenant_no, p.tenant_no), f.what, coalesce(g.grant_id, p.owner), f.stored, f.derived::bigint
	FROM grants g FULL JOIN (SELECT * FROM sums WHERE account = 2) p ON p.tenant_no = g.tenant_no AND p.owner = g.grant_id AND p.currency = g.currency
	CROSS JOIN LATERAL (VALUES
		('lot.remaining_minor', coalesce(g.remaining_minor, 0), coalesce(p.sum, 0)),
		('lot.entries', coalesce(cardinality(g.entry_ids), 0)::bigint, coalesce(p.lines, 0))) f (what, stored, derived)
	WHERE f.stored <> f.derived
	UNION ALL
	SELECT w.tenant_no, f.what, w.customer_id, f.stored, f.derived::bigint
	FROM wallets w LEFT JOIN (
		SELECT g.tenant_no, g.customer_id, sum(p.sum) FILTER (WHERE g.state = 'RELEASED') AS released, sum(p.sum) FILTER (WHERE g.state = 'LOCKED') AS locked
		FROM grants g JOIN sums p ON p.tenant_no = g.tenant_no AND p.account = 2 AND p.owner = g.grant_id
		GROUP BY 1, 2) l ON l.tenant_no = w.tenant_no AND l.customer_id = w.customer_id
	CROSS JOIN LATERAL (VALUES
		('wallet.promo_available_minor', w.promo_available_minor, coalesce(l.released, 0)),
		('wallet.promo_locked_minor', w.promo_locked_minor, coalesce(l.locked, 0))) f (what, stored, derived)
	WHERE f.stored <> f.derived
	UNION ALL
	SELECT coalesce(a.tenant_no, p.tenant_no), 'points.balance', coalesce(a.customer_id, p.owner), coalesce(a.balance, 0), coalesce(p.sum, 0)::bigint
	FROM points_accounts a FULL JOIN (SELECT tenant_no, owner, sum(sum) AS sum FROM sums WHERE account = 9 GROUP BY 1, 2) p
		ON p.tenant_no = a.tenant_no AND p.owner = a.customer_id
	WHERE coalesce(a.balance, 0) <> coalesce(p.sum, 0)`},
	// What batches add up to.
	{0.1, `SELECT coalesce(s.tenant_no, l.tenant_no), 'settlement.sum', coalesce(s.settlement_id, l.settlement_id), coalesce(s.plus_minor - s.minus_minor, 0), coalesce(l.sum, 0)::bigint
	FROM settlement_sums s FULL JOIN (
		SELECT tenant_no, settlement_id, class, kind, sum(amount_minor) AS sum FROM settlement_lines GROUP BY 1, 2, 3, 4) l
		ON l.tenant_no = s.tenant_no AND l.settlement_id = s.settlement_id AND l.class = s.class AND l.kind = s.kind
	WHERE coalesce(s.plus_minor - s.minus_minor, 0) <> coalesce(l.sum, 0)`},
	// What went back of every payment, from its returns, and every return from its entry.
	{0.05, `SELECT tenant_no, 'payment.refunded_minor', payment_id, sum(stored)::bigint, sum(derived)::bigint FROM (
		SELECT tenant_no, payment_id, refunded_minor AS stored, 0 AS derived FROM payments WHERE refunded_minor <> 0
		UNION ALL SELECT tenant_no, payment_id, 0, amount_minor FROM payment_returns) x
	GROUP BY tenant_no, payment_id HAVING sum(stored) <> sum(derived)`},
	{0.02, `SELECT r.tenant_no, f.what, r.return_id, f.stored, f.derived::bigint
	FROM payment_returns r LEFT JOIN entries e ON e.tenant_no = r.tenant_no AND e.entry_id = r.entry_id
	CROSS JOIN LATERAL (VALUES
		('return.actual_minor', r.actual_minor, coalesce(` + sumOf("1") + `, 0)), ('return.promo_minor', r.promo_minor, coalesce(` + sumOf("2") + `, 0)),
		('return.forfeited_minor', r.forfeited_minor, coalesce(` + sumOf("5, 7") + `, 0))) f (what, stored, derived)
	WHERE f.stored <> f.derived`},
	// What was taken back of every reversed top-up, and top-ups in flight.
	{0.02, `SELECT t.tenant_no, 'topup.reversed_actual_minor', t.topup_id, t.reversed_actual_minor, coalesce(` + sumOf("3") + `, 0)::bigint
	FROM topups t LEFT JOIN entries e ON e.tenant_no = t.tenant_no AND e.entry_id = t.reversal_entry_id
	WHERE (t.reversal_entry_id IS NOT NULL OR t.reversed_actual_minor <> 0) AND t.reversed_actual_minor <> coalesce(` + sumOf("3") + `, 0)`},
	{0.01, `SELECT w.tenant_no, 'wallet.pending_topups_minor', w.customer_id, w.pending_topups_minor, coalesce(t.sum, 0)::bigint
	FROM wallets w LEFT JOIN (SELECT tenant_no, customer_id, sum(amount_minor) AS sum FROM topups WHERE state = 'PENDING' GROUP BY 1, 2) t
		ON t.tenant_no = w.tenant_no AND t.customer_id = w.customer_id
	WHERE w.pending_topups_minor <> coalesce(t.sum, 0)`},
	// Points of every customer against the lots.
	{0.01, `SELECT a.tenant_no, 'points.lots', a.customer_id, a.balance, coalesce(l.sum, 0)::bigint
	FROM points_accounts a LEFT JOIN (SELECT tenant_no, customer_id, sum(remaining) AS sum FROM points_lots GROUP BY 1, 2) l
		ON l.tenant_no = a.tenant_no AND l.customer_id = a.customer_id
	WHERE a.balance <> coalesce(l.sum, 0)`},
	// What every budget has left, from its movements.
	{0.01, `SELECT b.tenant_no, 'budget.available_minor', b.budget_id, b.cap_minor - b.committed_minor - b.spent_minor, coalesce(m.available_after_minor, 0)
	FROM budgets b LEFT JOIN LATERAL (
		SELECT available_after_minor FROM budget_movements m WHERE m.tenant_no = b.tenant_no AND m.budget_id = b.budget_id ORDER BY position DESC LIMIT 1) m ON true
	WHERE b.cap_minor - b.committed_minor - b.spent_minor <> coalesce(m.available_after_minor, 0)`},
}
