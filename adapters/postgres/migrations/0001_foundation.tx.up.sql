-- Foundation: what every area stands on.
--
-- House rules of the schema:
--   * ids are text COLLATE "C", made by the application (prefix, time-ordered part);
--   * the boundary (partner_id, mode, merchant_id) is in every table and in every statement;
--   * mode is smallint: 1 sandbox, 2 production (see mode_name);
--   * money is bigint minor units, time is timestamptz set by the application's clock;
--   * enumerations are text with a CHECK, unless the table is on the payment path.

-- mode_name gives the word behind a mode's number; for people who read tables.
CREATE FUNCTION mode_name(mode smallint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE mode WHEN 1 THEN 'sandbox' WHEN 2 THEN 'production' END;

-- Idempotency records (rules 43 to 45): one row pins the outcome of one call.
--
-- A row is inserted with status NULL (the claim) and completed by the transaction that does the work, so
-- other transactions see whole rows or none. A statement that has its outcome at hand (the payment batch)
-- inserts whole rows at once; a key that is there already fails it, and is read and judged then.
-- A row past expires_at does not count; who meets one takes it over or drops it.
--
-- Thin on purpose: the primary key is the only index on the write path besides the BRIN (a few bytes per
-- 128 pages) that the sweep reads. Not partitioned: a partition key would have to be part of the primary
-- key, and then the same key on two sides of midnight would be two rows, which is the one thing that must not be.
CREATE TABLE idempotency (
    partner_id   text COLLATE "C" NOT NULL,
    mode         smallint NOT NULL CHECK (mode IN (1, 2)),
    operation    text COLLATE "C" NOT NULL,
    key          uuid NOT NULL,
    status       smallint,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    payload_hash bytea NOT NULL CHECK (octet_length(payload_hash) = 32),
    body         bytea,
    PRIMARY KEY (key, partner_id, mode, operation) -- the key first: it alone tells rows apart, and compares in one step
) WITH (fillfactor = 80); -- room to complete a claim in its own page (HOT)

CREATE INDEX idempotency_expires_at ON idempotency USING brin (expires_at) WITH (autosummarize = on);

COMMENT ON TABLE idempotency IS 'Outcomes pinned to an Idempotency-Key, committed with the work they answer';
COMMENT ON COLUMN idempotency.partner_id IS 'the partner, or "anonymous" where no credential is needed';
COMMENT ON COLUMN idempotency.mode IS '1 sandbox, 2 production';
COMMENT ON COLUMN idempotency.operation IS 'operation id, for example paymentAuthorize';
COMMENT ON COLUMN idempotency.status IS 'HTTP status of the outcome: a 2xx or 402; NULL only inside the claiming transaction';
COMMENT ON COLUMN idempotency.payload_hash IS 'SHA-256 of the decoded message without meta.request_id';
COMMENT ON COLUMN idempotency.body IS 'the encoded answer, sealed where it holds a secret';
