-- Sessions, baskets and transactions. version guards each session against lost
-- updates; the payment path raises it too. No column of an index ever changes
-- while a session is open, so that every change until its end is a HOT update.
create table checkout_sessions (
  session_id      text collate "C" primary key,
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
  end_reason      text not null default '',
  end_note        text not null default '',
  check (discount_minor <= basket_minor),
  check ((state = 'open') = (ended_at is null))
) with (fillfactor = 80);

-- What the expiry sweep reads: open sessions in the order in which they end.
create index checkout_sessions_due on checkout_sessions (expires_at, session_id) where state = 'open';
create index checkout_sessions_list on checkout_sessions (tenant_no, opened_at, session_id);
create index checkout_sessions_branch on checkout_sessions (tenant_no, branch_id, opened_at, session_id) where branch_id <> '';

-- Immutable: a change is a next revision.
create table basket_revisions (
  session_id     text collate "C" not null,
  revision       bigint not null check (revision > 0),
  tenant_no      integer not null,
  currency       text not null,
  lines          jsonb not null,
  subtotal_minor bigint not null,
  discount_minor bigint not null,
  tax_minor      bigint not null,
  total_minor    bigint not null check (total_minor = subtotal_minor - discount_minor + tax_minor),
  created_at     timestamptz not null,
  primary key (session_id, revision)
);

-- Immutable (rule 54): voids, refunds, cashback and attribution are rows beside
-- it. It holds ids only, so that an erasure leaves it as it is.
create table transactions (
  transaction_id        text collate "C" primary key,
  tenant_no             integer not null,
  receipt_number        text collate "C" not null,
  origin                text not null,
  channel               text not null default '',
  session_id            text collate "C",
  brand_id              text not null default '',
  branch_id             text collate "C" not null default '',
  terminal_id           text not null default '',
  cashier_id            text not null default '',
  locale                text not null default '',
  customer_id           text collate "C",
  customer_state        text not null default '',
  credential_type       text not null default '',
  probationary          boolean not null default false,
  currency              text not null,
  subtotal_minor        bigint not null,
  basket_discount_minor bigint not null,
  tax_minor             bigint not null,
  discount_minor        bigint not null,
  total_minor           bigint not null check (total_minor >= 0),
  lines                 jsonb not null,
  offers                jsonb not null,
  tenders               jsonb not null,
  trace_id              text collate "C" not null default '',
  created_at            timestamptz not null,
  check (total_minor = subtotal_minor - basket_discount_minor + tax_minor - discount_minor)
);
create index transactions_list on transactions (tenant_no, created_at, transaction_id);
create index transactions_branch on transactions (tenant_no, branch_id, created_at, transaction_id) where branch_id <> '';
create index transactions_customer on transactions (tenant_no, customer_id, created_at, transaction_id) where customer_id is not null;
create index transactions_session on transactions (tenant_no, session_id) where session_id is not null;

create function transactions_are_immutable() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('feddi.erase', true) = 'on' then
    return null;
  end if;
  raise exception '% of % is not allowed: a transaction is immutable; write a record beside it', tg_op, tg_table_name
    using errcode = 'restrict_violation', constraint = 'transactions_are_immutable';
end $$;
create trigger transactions_immutable after update or delete on transactions
  for each statement execute function transactions_are_immutable();

-- A payment belongs to one transaction, whoever would write a second one: the
-- close of its session, the sweep, or the outbox delivering twice.
create table transaction_payments (
  tenant_no      integer not null,
  payment_id     text collate "C" not null,
  transaction_id text collate "C" not null,
  primary key (tenant_no, payment_id)
);

-- Receipt numbers: a series per branch, counted without gaps. The row is taken
-- as the last thing before a sale commits.
create table receipt_series (
  tenant_no integer not null,
  branch_id text collate "C" not null,
  series    integer not null check (series > 0),
  last      bigint not null check (last > 0),
  primary key (tenant_no, branch_id),
  unique (tenant_no, series)
) with (fillfactor = 70);

-- What actuators decide about a sale. A pending row holds what its actuator is
-- to be asked, and is claimed by moving due_at: a lease that ends by itself.
create table transaction_rulings (
  transaction_id   text collate "C" not null,
  kind             text not null check (kind in ('cashback', 'attribution')),
  tenant_no        integer not null,
  state            text not null check (state in ('pending', 'committed', 'refused')),
  decision_id      text collate "C" not null,
  trace_id         text collate "C" not null,
  snapshot         json,                      -- kept while pending; then the trace has it
  plan             json,
  actuator         text not null default '',
  actuator_version text not null default '',
  amount_minor     bigint not null default 0,
  percent_bp       integer not null default 0,
  grant_id         text collate "C" not null default '',
  entry_id         text collate "C" not null default '',
  attribution_id   text collate "C" not null default '',
  offers           jsonb not null default '[]',
  attempts         integer not null default 0,
  due_at           timestamptz,
  created_at       timestamptz not null,
  decided_at       timestamptz,
  primary key (transaction_id, kind),
  check ((state = 'pending') = (due_at is not null and snapshot is not null))
) with (fillfactor = 80);
create index transaction_rulings_due on transaction_rulings (due_at) where state = 'pending';
