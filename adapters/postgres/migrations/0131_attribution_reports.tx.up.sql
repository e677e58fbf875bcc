-- What partners report about a sale, beside the transaction that never changes
-- (rule 54). One record per sale; an exposure in it is written once and is as
-- immutable as the sale.
create table attribution_reports (
  transaction_id text collate "C" primary key,
  tenant_no      integer not null,
  attribution_id text collate "C" not null,
  created_at     timestamptz not null
);

create table attribution_exposures (
  tenant_no      integer not null,
  transaction_id text collate "C" not null references attribution_reports on delete cascade,
  offer_id       text collate "C" not null,
  trace_id       text collate "C" not null,         -- of the decision that showed it
  outcome        text not null check (outcome in ('redeemed', 'shown_not_taken')),
  shown_at       timestamptz not null,
  reported_at    timestamptz not null,
  primary key (tenant_no, transaction_id, offer_id, trace_id)
);

create function attribution_exposures_are_immutable() returns trigger language plpgsql as $$
begin
  raise exception '% of % is not allowed: an exposure is written once', tg_op, tg_table_name
    using errcode = 'restrict_violation', constraint = 'attribution_exposures_are_immutable';
end $$;
create trigger attribution_exposures_immutable after update on attribution_exposures
  for each statement execute function attribution_exposures_are_immutable();

-- A sale redeems an offer once, whatever number of feeds showed it before.
create unique index attribution_exposures_redeemed on attribution_exposures (tenant_no, transaction_id, offer_id)
  where outcome = 'redeemed';
