-- Merging identities. What a merge moved, for whoever asks later.
create table identity_merges (
  merge_id           text collate "C" primary key,
  tenant_no          integer not null,
  customer_id        text collate "C" not null,
  source_customer_id text collate "C" not null default '', -- empty where a session was merged
  session_id         text collate "C" not null default '',
  reason             text not null default '',
  actual_minor       bigint not null check (actual_minor >= 0),
  points             bigint not null check (points >= 0),
  grant_ids          text[] collate "C" not null,
  credential_ids     text[] collate "C" not null,
  entry_ids          text[] collate "C" not null,
  merged_at          timestamptz not null
);
create index identity_merges_customer on identity_merges (tenant_no, customer_id, merge_id);

-- Who was merged into a customer: their sales are that customer's history.
create index customers_merged on customers (tenant_no, merged_into) where merged_into is not null;

-- A customer's sessions: identifying pays one index entry, a payment none.
create index checkout_sessions_customer on checkout_sessions (tenant_no, customer_id, session_id) where customer_id is not null;

-- Limits per customer move with the customer.
create index offer_uses_customer on offer_uses (tenant_no, scope) where scope like 'c:%';

alter table entries drop constraint entries_kind_check;
alter table entries add constraint entries_kind_check check (kind in ('payment', 'void', 'refund', 'topup', 'topup_reversal',
  'grant', 'expiry', 'clawback', 'points', 'merge', 'forfeit'));
alter table points_movements drop constraint points_movements_type_check;
alter table points_movements add constraint points_movements_type_check
  check (type in ('earn', 'burn', 'adjust', 'expire', 'reverse', 'merge'));

-- Codes that are out move and go with their customer.
create index payment_codes_customer on payment_codes (tenant_no, customer_id);

-- A wallet says itself where it went, so that whoever waited for its lock sees it.
alter table wallets add column merged_into text collate "C";
comment on column wallets.merged_into is 'the customer whose wallet took this one over; null while it is in use';
