-- What went back of payments: one row per void or refund, beside the payment,
-- whose row carries the sum. Immutable like the entry that moved the money.
create table payment_returns (
  return_id       text collate "C" primary key,   -- ref_... or vod_...
  tenant_no       integer not null,
  payment_id      text collate "C" not null,
  kind            text not null check (kind in ('void', 'refund')),
  amount_minor    bigint not null check (amount_minor > 0),
  actual_minor    bigint not null check (actual_minor >= 0),
  promo_minor     bigint not null check (promo_minor >= 0),     -- restored to lots
  forfeited_minor bigint not null check (forfeited_minor >= 0), -- to the funder of a lot clawed back since
  currency        text not null,
  grant_ids       text[] collate "C" not null,                  -- what came back to each lot, last spent first
  grant_minors    bigint[] not null,
  entry_id        text collate "C" not null,
  cause_id        text collate "C",                             -- the voided transaction or the dispute behind it
  actor_id        text not null,                                -- the key or terminal that asked
  reason          text,
  at              timestamptz not null,
  check (actual_minor + promo_minor + forfeited_minor = amount_minor),
  check (cardinality(grant_ids) = cardinality(grant_minors))
);
create index payment_returns_payment on payment_returns (tenant_no, payment_id, return_id);
create trigger payment_returns_immutable after update or delete on payment_returns
  for each statement execute function journal_is_immutable();

-- Whoever computes wrongly what is left of a payment is stopped here.
alter table payments add constraint payments_refunded check (refunded_minor <= amount_minor);

-- How a top-up was undone: what could be taken back, and why.
alter table topups
  add column reversal_entry_id     text collate "C",
  add column reversed_actual_minor bigint not null default 0 check (reversed_actual_minor between 0 and amount_minor),
  add column reversed_bonus_minor  bigint not null default 0 check (reversed_bonus_minor between 0 and bonus_minor),
  add column reversal_reason       text,
  add column reversal_note         text;

-- A void finds the points that a sale moved by the sale's id.
create index points_movements_reference on points_movements (tenant_no, customer_id, reference_id) where reference_id is not null;
