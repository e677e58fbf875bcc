-- Sessions, baskets and transactions. version guards each session against lost
-- updates; the payment path raises it too.
create table checkout_sessions (
  session_id      text primary key,
  tenant_no       integer not null,
  version         bigint not null default 1,
  state           text not null check (state in ('open', 'closed', 'abandoned', 'expired')),
  currency        text not null,
  origin          text not null,
  channel         text not null default '',
  brand_id        text not null default '',
  branch_id       text not null default '',
  terminal_id     text not null default '',
  cashier_id      text not null default '',
  locale          text not null default '',
  customer_id     text,
  credential_type text not null default '',
  probationary    boolean not null default false,
  basket_revision bigint not null default 0,
  basket_minor    bigint not null default 0 check (basket_minor >= 0),
  discount_minor  bigint not null default 0 check (discount_minor >= 0),
  paid_minor      bigint not null default 0 check (paid_minor >= 0),
  transaction_id  text,
  opened_at       timestamptz not null,
  expires_at      timestamptz not null,
  ended_at        timestamptz,
  end_reason      text not null default ''
) with (fillfactor = 80);
