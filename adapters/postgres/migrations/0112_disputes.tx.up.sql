-- Disputes. A sale has one open dispute at most, whoever opens a second one at
-- the same moment.
create table disputes (
  dispute_id      text collate "C" primary key,
  tenant_no       integer not null,
  transaction_id  text collate "C" not null,
  customer_id     text collate "C",
  brand_id        text collate "C" not null default '', -- the sale's place: who may see it
  branch_id       text collate "C" not null default '',
  state           text not null check (state in ('open', 'resolved')),
  reason          text not null,
  amount_minor    bigint not null check (amount_minor > 0),
  currency        text not null,
  description     text not null default '',
  evidence        jsonb not null,
  history         jsonb not null,
  outcome         text check (outcome in ('customer', 'merchant')),
  actual_minor    bigint not null default 0 check (actual_minor >= 0),    -- given back
  promo_minor     bigint not null default 0 check (promo_minor >= 0),
  forfeited_minor bigint not null default 0 check (forfeited_minor >= 0),
  entries         jsonb not null default '[]',                            -- ids of the contra entries
  note            text not null default '',
  opened_at       timestamptz not null,
  due_at          timestamptz not null,
  resolved_at     timestamptz,
  check ((state = 'resolved') = (resolved_at is not null and outcome is not null))
) with (fillfactor = 80);
create unique index disputes_open on disputes (tenant_no, transaction_id) where state = 'open';
create index disputes_list on disputes (tenant_no, opened_at, dispute_id);
create index disputes_state on disputes (tenant_no, state, opened_at, dispute_id);
create index disputes_transaction on disputes (tenant_no, transaction_id, opened_at, dispute_id);
create index disputes_customer on disputes (tenant_no, customer_id, opened_at, dispute_id) where customer_id is not null;
