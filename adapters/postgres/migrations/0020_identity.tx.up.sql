-- The identity graph. Phone, name and e-mail stand in these tables only, so
-- that an erasure touches nothing else.
create table customers (
  tenant_no   integer not null,
  customer_id text not null,
  phone       text,                       -- E.164; null once erased
  name        text not null default '',
  state       text not null check (state in ('PENDING_PROOF', 'VERIFIED')),
  status      text not null default 'active' check (status in ('active', 'disabled', 'merged', 'erased')),
  locale      text not null default '',
  tier        text not null default '',
  verified_at timestamptz,
  created_at  timestamptz not null,
  primary key (customer_id)
);
create unique index customers_phone on customers (tenant_no, phone) where phone is not null;

-- Single-use codes that pay: the payment path reads and spends one by primary key.
create table payment_codes (
  code_hash        bytea not null,        -- SHA-256 of the code, salted with the tenant for short codes
  tenant_no        integer not null,
  customer_id      text not null,
  kind             text not null check (kind in ('qr', 'short_code')),
  expires_at       timestamptz not null,
  used_at          timestamptz,
  bound_session_id text,
  primary key (tenant_no, code_hash)
);
create index payment_codes_expiry on payment_codes (expires_at);
