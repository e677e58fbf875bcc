-- Where a sale stands that something went back of; one without a row is
-- completed. The transaction itself never changes (rule 54).
create table transaction_standings (
  transaction_id text collate "C" primary key,
  tenant_no      integer not null,
  sold_at        timestamptz not null,          -- the transaction's created_at: lists by status are in its order
  status         text not null check (status in ('partially_refunded', 'refunded', 'voided')),
  refunded_minor bigint not null default 0 check (refunded_minor >= 0), -- by refunds; what a void took back is with the void
  voided_at      timestamptz,
  check ((status = 'voided') = (voided_at is not null))
) with (fillfactor = 80);
create index transaction_standings_list on transaction_standings (tenant_no, status, sold_at, transaction_id);

-- A void: what was taken back, item by item, with the contra entries.
create table transaction_voids (
  transaction_id text collate "C" primary key,
  tenant_no      integer not null,
  reversals      jsonb not null,
  reason         text,
  actor_id       text not null,                 -- the key or terminal that asked
  at             timestamptz not null
);
create trigger transaction_voids_immutable after update or delete on transaction_voids
  for each statement execute function transactions_are_immutable();
