-- The identity graph. Phone, name and e-mail stand in these tables only, so
-- that an erasure touches nothing else.
CREATE TABLE customers (
    customer_id   text COLLATE "C" PRIMARY KEY,
    tenant_no     integer NOT NULL,
    phone         text COLLATE "C",
    name          text NOT NULL DEFAULT '',
    email         text,
    birth_date    date,
    state         text COLLATE "C" NOT NULL CHECK (state IN ('PENDING_PROOF', 'VERIFIED')),
    status        text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'merged', 'erased')),
    locale        text NOT NULL DEFAULT '',
    tier          text NOT NULL DEFAULT '',
    status_reason text NOT NULL DEFAULT '',
    merged_into   text COLLATE "C",
    verified_at   timestamptz,
    phone_used_at timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz,
    CHECK (phone ~ '^\+[1-9][0-9]{4,14}$')
) WITH (fillfactor = 85);

-- A customer is unique per merchant and phone (rule 35); this index is what
-- makes concurrent enrolments of one phone one customer.
CREATE UNIQUE INDEX customers_phone ON customers (tenant_no, phone) WHERE phone IS NOT NULL;

COMMENT ON COLUMN customers.phone IS 'E.164; null once erased';
COMMENT ON COLUMN customers.status_reason IS 'why the status is what it is, as the operator said';
COMMENT ON COLUMN customers.phone_used_at IS 'when the phone last identified the customer';
COMMENT ON COLUMN customers.merged_into IS 'the customer that remains, where status is merged';

-- What leads to a customer beside the phone. A card fingerprint may lead to
-- several customers: it collides then and resolves to none (rule 5).
CREATE TABLE credential_links (
    credential_id   text COLLATE "C" PRIMARY KEY,
    tenant_no       integer NOT NULL,
    customer_id     text COLLATE "C" NOT NULL,
    credential_type text COLLATE "C" NOT NULL CHECK (credential_type IN ('card_fingerprint', 'provider_customer_id', 'card', 'client_recipient_id')),
    value           text COLLATE "C" NOT NULL,
    masked_value    text NOT NULL,
    provider        text COLLATE "C" NOT NULL DEFAULT '',
    card            jsonb,
    linked_at       timestamptz NOT NULL,
    last_used_at    timestamptz,
    unlinked_at     timestamptz,
    unlink_reason   text NOT NULL DEFAULT ''
) WITH (fillfactor = 85);

CREATE UNIQUE INDEX credential_links_value ON credential_links (tenant_no, credential_type, value, customer_id) WHERE unlinked_at IS NULL;
CREATE UNIQUE INDEX credential_links_provider ON credential_links (tenant_no, value) WHERE credential_type = 'provider_customer_id' AND unlinked_at IS NULL;
CREATE INDEX credential_links_customer ON credential_links (tenant_no, customer_id);

COMMENT ON COLUMN credential_links.value IS 'the value; of a card fingerprint its SHA-256 in hex';
COMMENT ON COLUMN credential_links.card IS 'scheme, first six, last four, expiry; never the number';

-- Attempts to prove a phone. Of the code only a keyed hash is stored, of the
-- link's token nothing.
CREATE TABLE enrollments (
    enrollment_id        text COLLATE "C" PRIMARY KEY,
    tenant_no            integer NOT NULL,
    customer_id          text COLLATE "C" NOT NULL,
    session_id           text COLLATE "C",
    provider_customer_id text COLLATE "C",
    state                text COLLATE "C" NOT NULL CHECK (state IN ('PENDING_PROOF', 'VERIFIED')),
    issue                integer NOT NULL CHECK (issue >= 1),
    code_hash            bytea,
    attempts_left        smallint NOT NULL CHECK (attempts_left BETWEEN 0 AND 5),
    resends_left         smallint NOT NULL CHECK (resends_left BETWEEN 0 AND 5),
    sent_at              timestamptz NOT NULL,
    resent_at            timestamptz,
    expires_at           timestamptz NOT NULL,
    created_at           timestamptz NOT NULL,
    verified_at          timestamptz,
    CHECK ((state = 'VERIFIED') = (verified_at IS NOT NULL)),
    CHECK ((state = 'PENDING_PROOF') = (code_hash IS NOT NULL))
) WITH (fillfactor = 80);

CREATE INDEX enrollments_customer ON enrollments (tenant_no, customer_id, created_at);
CREATE INDEX enrollments_sweep ON enrollments (created_at);

COMMENT ON COLUMN enrollments.issue IS 'counts the messages made; only the latest one''s code and link hold';
COMMENT ON COLUMN enrollments.provider_customer_id IS 'waits for the proof; bound in credential_links when it comes (rule 29)';

-- Re-drives of LOCKED grants, as they were.
CREATE TABLE claims (
    claim_id       text COLLATE "C" PRIMARY KEY,
    tenant_no      integer NOT NULL,
    customer_id    text COLLATE "C" NOT NULL,
    released       text[] COLLATE "C" NOT NULL,
    locked         text[] COLLATE "C" NOT NULL,
    locked_reasons text[] COLLATE "C" NOT NULL,
    created_at     timestamptz NOT NULL,
    CHECK (cardinality(locked) = cardinality(locked_reasons))
);
CREATE INDEX claims_customer ON claims (tenant_no, customer_id, created_at);

-- Single-use codes that pay: the payment path reads and spends one by primary key.
CREATE TABLE payment_codes (
    code_hash        bytea NOT NULL,
    tenant_no        integer NOT NULL,
    customer_id      text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL CHECK (kind IN ('qr', 'short_code')),
    expires_at       timestamptz NOT NULL,
    used_at          timestamptz,
    bound_session_id text COLLATE "C",
    PRIMARY KEY (tenant_no, code_hash)
) WITH (fillfactor = 80);
CREATE INDEX payment_codes_expiry ON payment_codes (expires_at);

COMMENT ON COLUMN payment_codes.code_hash IS 'SHA-256 of the code, salted with the tenant for short codes';
COMMENT ON COLUMN payment_codes.bound_session_id IS 'the session that was identified with it; no other one may use it then';

-- Acts of agreeing and withdrawing. Never changed: the latest act of a purpose
-- and channel holds.
CREATE TABLE consents (
    consent_id  text COLLATE "C" PRIMARY KEY,
    tenant_no   integer NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    purpose     text COLLATE "C" NOT NULL CHECK (purpose IN ('terms', 'marketing', 'profiling', 'receipts', 'data_sharing')),
    channel     text COLLATE "C" NOT NULL DEFAULT '' CHECK (channel IN ('', 'sms', 'email', 'push', 'whatsapp')),
    state       text COLLATE "C" NOT NULL CHECK (state IN ('granted', 'withdrawn')),
    version     text NOT NULL,
    evidence    jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX consents_customer ON consents (tenant_no, customer_id, recorded_at, consent_id);

COMMENT ON COLUMN consents.channel IS 'empty for every channel';

-- How customers want to be treated; a customer who never said has no row. The
-- language is customers.locale.
CREATE TABLE customer_preferences (
    customer_id      text COLLATE "C" PRIMARY KEY,
    tenant_no        integer NOT NULL,
    version          integer NOT NULL CHECK (version > 1),
    channels         jsonb NOT NULL,
    opt_out_all      boolean NOT NULL,
    opt_out_kinds    text[] COLLATE "C" NOT NULL,
    opt_out_categories text[] NOT NULL,
    receipt_channel  text COLLATE "C" NOT NULL DEFAULT '',
    updated_at       timestamptz NOT NULL
);

COMMENT ON COLUMN customer_preferences.version IS 'counts changes from 1, which is what a customer without a row has';

-- What partners tell about customers, for the profile.
CREATE TABLE customer_events (
    customer_event_id text COLLATE "C" PRIMARY KEY,
    tenant_no         integer NOT NULL,
    customer_id       text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    session_id        text COLLATE "C" NOT NULL DEFAULT '',
    attributes        jsonb NOT NULL,
    occurred_at       timestamptz NOT NULL,
    recorded_at       timestamptz NOT NULL
);
CREATE INDEX customer_events_customer ON customer_events (tenant_no, customer_id, occurred_at, customer_event_id);
