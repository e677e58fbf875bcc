-- The ledger: wallets, lots of promotional credit, journal entries with their
-- postings, payments and top-ups.
--
-- The payment path writes here and is thin on purpose: one wallet row updated
-- in place, everything else appended; no foreign keys (each costs a row-level
-- trigger), no row that two customers share, and three index entries for the
-- payment, its entry and its postings together. Merchant-side balances are
-- folded from postings.

-- The spendable truth of one customer. version guards every change; it is
-- raised by one each time, and no indexed column ever changes (HOT updates).
CREATE TABLE wallets (
    tenant_no             integer NOT NULL,
    customer_id           text COLLATE "C" NOT NULL,
    currency              text COLLATE "C" NOT NULL,
    actual_minor          bigint NOT NULL DEFAULT 0 CHECK (actual_minor >= 0),
    promo_available_minor bigint NOT NULL DEFAULT 0 CHECK (promo_available_minor >= 0),
    promo_locked_minor    bigint NOT NULL DEFAULT 0 CHECK (promo_locked_minor >= 0),
    pending_topups_minor  bigint NOT NULL DEFAULT 0 CHECK (pending_topups_minor >= 0),
    version               bigint NOT NULL DEFAULT 1,
    first_topup_at        timestamptz,
    first_purchase_at     timestamptz,
    PRIMARY KEY (tenant_no, customer_id)
) WITH (fillfactor = 70);

COMMENT ON COLUMN wallets.promo_available_minor IS 'sum of remaining_minor of the RELEASED lots; lots past their expiry count until the sweep takes them';
COMMENT ON COLUMN wallets.promo_locked_minor IS 'sum of remaining_minor of the LOCKED lots; never spendable';

-- Lots of promotional credit. state is not in the key of any index but the
-- partial ones, so that spending part of a lot stays a HOT update.
CREATE TABLE grants (
    grant_id        text COLLATE "C" PRIMARY KEY,
    tenant_no       integer NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    source          text COLLATE "C" NOT NULL CHECK (source IN ('CASHBACK', 'RELOAD_BONUS', 'SKU_BONUS', 'OFFER', 'GOODWILL', 'REFERRAL')),
    state           text COLLATE "C" NOT NULL CHECK (state IN ('LOCKED', 'RELEASED', 'SPENT', 'EXPIRED', 'CLAWED_BACK')),
    amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
    remaining_minor bigint NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    expires_at      timestamptz,
    budget_id       text COLLATE "C",
    funded_by       text COLLATE "C" NOT NULL DEFAULT 'merchant',
    origin_id       text COLLATE "C",
    created_at      timestamptz NOT NULL,
    released_at     timestamptz,
    CHECK (remaining_minor BETWEEN 0 AND amount_minor),
    CHECK ((remaining_minor > 0) = (state IN ('LOCKED', 'RELEASED')))
) WITH (fillfactor = 80);

CREATE INDEX grants_live ON grants (tenant_no, customer_id) WHERE state IN ('LOCKED', 'RELEASED');
CREATE INDEX grants_of_customer ON grants (tenant_no, customer_id, grant_id);
CREATE INDEX grants_lapsing ON grants (expires_at) WHERE state IN ('LOCKED', 'RELEASED') AND expires_at IS NOT NULL;

-- Journal lines. Immutable: a correction is a contra entry that names the one
-- it reverses.
CREATE TABLE entries (
    entry_id  text COLLATE "C" PRIMARY KEY,
    tenant_no integer NOT NULL,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('payment', 'void', 'refund', 'topup', 'topup_reversal', 'grant', 'expiry', 'clawback', 'points')),
    ref_id    text COLLATE "C" NOT NULL,
    reverses  text COLLATE "C",
    trace_id  text COLLATE "C",
    at        timestamptz NOT NULL
);

COMMENT ON COLUMN entries.ref_id IS 'what it is about: a payment, top-up or grant';

-- The lines of an entry: a signed amount of one class into (or out of) one
-- account. account and class are numbers because every payment writes several.
-- Entry ids are time-ordered, so a BRIN finds an entry's lines, and inserting a
-- posting touches no tree, but for the lines of lots.
CREATE TABLE postings (
    tenant_no    integer NOT NULL,
    account      smallint NOT NULL CHECK (account BETWEEN 1 AND 13),
    class        smallint NOT NULL CHECK (class BETWEEN 1 AND 5),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    entry_id     text COLLATE "C" NOT NULL,
    owner        text COLLATE "C",
    currency     text COLLATE "C" NOT NULL
);

-- What moved one lot, for whoever asks about it; only what spends promotional
-- credit pays for it.
CREATE INDEX postings_lot ON postings (owner) WHERE account = 2;
CREATE INDEX postings_entry ON postings USING brin (entry_id) WITH (pages_per_range = 32, autosummarize = on);

COMMENT ON COLUMN postings.account IS 'see account_name';
COMMENT ON COLUMN postings.class IS 'see class_name';
COMMENT ON COLUMN postings.owner IS 'customer, grant or budget; null for the merchant''s own accounts';

-- For people who read tables.
CREATE FUNCTION account_name(account smallint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (ARRAY['wallet', 'lot', 'topup_clearing', 'sales', 'promo_expense', 'breakage', 'budget', 'points_liability',
                  'points', 'gift', 'funding', 'platform_fees', 'card_credits'])[account];
CREATE FUNCTION class_name(class smallint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (ARRAY['actual', 'promo', 'points', 'gift', 'funding'])[class];

-- Zero-sum per entry, currency and class, over the rows of the statement. One
-- check per statement, however many entries it writes: 3 to 4 us per payment
-- where one trigger per row costs 15. An entry is therefore written whole by
-- one statement; adding a line to an entry that exists cannot balance.
CREATE FUNCTION postings_zero_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    SELECT entry_id, currency, class_name(class) AS class, sum(amount_minor) AS sum INTO bad
      FROM fresh GROUP BY entry_id, currency, class HAVING sum(amount_minor) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not balance: % % of class % too many', bad.entry_id, bad.sum, bad.currency, bad.class
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_zero_sum';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER postings_zero_sum AFTER INSERT ON postings
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION postings_zero_sum();

-- The journal is append-only. Erasing a whole tenant (a sandbox) or a partition
-- past its retention says so with SET LOCAL feddi.erase = 'on'.
CREATE FUNCTION journal_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('feddi.erase', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% of % is not allowed: the journal is immutable; write a contra entry', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'journal_is_immutable';
END $$;

CREATE TRIGGER entries_immutable AFTER UPDATE OR DELETE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_immutable();
CREATE TRIGGER postings_immutable AFTER UPDATE OR DELETE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_immutable();

-- Payments. What a debit took is here too (the lots in the order in which they
-- were spent), so that a void or refund needs no search in the postings.
CREATE TABLE payments (
    payment_id           text COLLATE "C" PRIMARY KEY,
    tenant_no            integer NOT NULL,
    customer_id          text COLLATE "C" NOT NULL,
    session_id           text COLLATE "C",
    transaction_id       text COLLATE "C",
    status               text COLLATE "C" NOT NULL CHECK (status IN ('succeeded', 'requires_capture', 'voided', 'refunded', 'partially_refunded', 'failed')),
    amount_minor         bigint NOT NULL CHECK (amount_minor > 0),
    debited_promo_minor  bigint NOT NULL DEFAULT 0 CHECK (debited_promo_minor >= 0),
    debited_actual_minor bigint NOT NULL DEFAULT 0 CHECK (debited_actual_minor >= 0),
    refunded_minor       bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    currency             text COLLATE "C" NOT NULL,
    credential_type      text COLLATE "C" NOT NULL,
    grant_ids            text[] COLLATE "C",
    grant_minors         bigint[],
    entry_id             text COLLATE "C",
    brand_id             text COLLATE "C",
    branch_id            text COLLATE "C",
    terminal_id          text COLLATE "C",
    cashier_id           text,
    decision             json,
    failure_code         text COLLATE "C",
    code_hash            bytea,
    code_attempts        smallint,
    code_expires_at      timestamptz,
    created_at           timestamptz NOT NULL,
    captured_at          timestamptz,
    CHECK (debited_promo_minor + debited_actual_minor = CASE WHEN status IN ('requires_capture', 'failed') THEN 0 ELSE amount_minor END)
) WITH (fillfactor = 80);

CREATE INDEX payments_session ON payments (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX payments_codes ON payments (tenant_no, customer_id, created_at) WHERE code_hash IS NOT NULL;

COMMENT ON COLUMN payments.decision IS 'snapshot and plan of the debit as validated: planning the snapshot again gives the plan, byte for byte (json, not jsonb, keeps the bytes)';

-- Says that a guard of the payment batch did not hold: somebody else was faster.
-- The whole statement is undone and judged anew on a fresh snapshot.
CREATE FUNCTION ledger_stale(guard text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'stale: %', guard USING ERRCODE = 'serialization_failure';
END $$;

-- Top-ups.
CREATE TABLE topups (
    topup_id      text COLLATE "C" PRIMARY KEY,
    tenant_no     integer NOT NULL,
    customer_id   text COLLATE "C" NOT NULL,
    session_id    text COLLATE "C",
    state         text COLLATE "C" NOT NULL CHECK (state IN ('PENDING', 'COMPLETED', 'REVERSED', 'FAILED', 'EXPIRED')),
    amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
    bonus_minor   bigint NOT NULL DEFAULT 0 CHECK (bonus_minor >= 0),
    currency      text COLLATE "C" NOT NULL,
    source        text COLLATE "C" NOT NULL CHECK (source IN ('provider', 'sku')),
    sku_id        text COLLATE "C",
    quantity      integer,
    provider      text COLLATE "C",
    artifact      jsonb,
    reference     text COLLATE "C",
    grant_id      text COLLATE "C",
    entry_id      text COLLATE "C",
    expires_at    timestamptz,
    created_at    timestamptz NOT NULL,
    completed_at  timestamptz,
    reversed_at   timestamptz
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX topups_reference ON topups (tenant_no, provider, reference) WHERE reference IS NOT NULL;
CREATE INDEX topups_pending ON topups (expires_at) WHERE state = 'PENDING';
CREATE INDEX topups_customer ON topups (tenant_no, customer_id, completed_at) WHERE state = 'COMPLETED';

CREATE TABLE topup_skus (
    tenant_no   integer NOT NULL,
    sku_id      text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    value_minor bigint NOT NULL CHECK (value_minor > 0),
    bonus_minor bigint NOT NULL CHECK (bonus_minor >= 0),
    expiry_days integer NOT NULL DEFAULT 0 CHECK (expiry_days >= 0),
    currency    text COLLATE "C" NOT NULL,
    active      boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, sku_id)
);

-- The reload bonus of a merchant in one currency; tiers are few and read whole.
CREATE TABLE reload_bonus (
    tenant_no   integer NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    min_minors  bigint[] NOT NULL,
    bonus_minors bigint[] NOT NULL,
    expiry_days integer[] NOT NULL,
    revision    integer NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, currency),
    CHECK (cardinality(min_minors) = cardinality(bonus_minors) AND cardinality(min_minors) = cardinality(expiry_days))
);
