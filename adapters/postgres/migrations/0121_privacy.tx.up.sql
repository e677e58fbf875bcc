-- What people ask for by right: exports and erasures.
create table gdpr_requests (
  request_id   text collate "C" primary key,
  tenant_no    integer not null,
  customer_id  text collate "C" not null,
  kind         text not null check (kind in ('export', 'erasure')),
  state        text not null check (state in ('pending', 'processing', 'completed', 'failed', 'expired')),
  reason       text not null default '',
  records      text[] not null default '{}', -- kinds of records, and how many of each
  counts       bigint[] not null default '{}',
  attempts     integer not null default 0,
  due_at       timestamptz,                  -- claimed by moving it: a lease that ends by itself
  requested_at timestamptz not null,
  completed_at timestamptz,
  expires_at   timestamptz,                  -- of an archive
  check ((state in ('pending', 'processing')) = (due_at is not null)),
  check (cardinality(records) = cardinality(counts))
) with (fillfactor = 80);
create index gdpr_requests_customer on gdpr_requests (tenant_no, customer_id, request_id);
create index gdpr_requests_due on gdpr_requests (due_at) where due_at is not null;
create index gdpr_requests_lapsing on gdpr_requests (expires_at) where state = 'completed' and expires_at is not null;

-- Archives, encrypted, in pieces that are read and written one by one.
create table gdpr_archives (
  tenant_no  integer not null,
  request_id text collate "C" not null,
  piece      integer not null check (piece > 0),
  sealed     bytea not null,
  primary key (tenant_no, request_id, piece)
);
alter table gdpr_archives alter column sealed set storage external; -- encrypted: does not compress

-- Whatever their state: an export tells of each.
create index topups_of_customer on topups (tenant_no, customer_id, topup_id);

-- What operators wrote about credit given by hand, for an erasure.
create index budget_movements_reasons on budget_movements (tenant_no, reference_id) where reason is not null;
