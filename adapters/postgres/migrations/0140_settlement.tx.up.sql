-- Settlement: how far top-ups are on their way to the bank, what providers
-- reported, what a brand's days add up to, and comparisons with the partner's
-- books. Nothing here moves money.

-- How far a completed top-up's money is; 'reversed' is the state of the top-up.
alter table topups add column settlement text collate "C" not null default 'unsettled'
  check (settlement in ('unsettled', 'settled', 'differs'));
create index topups_completed on topups (tenant_no, completed_at, topup_id) where completed_at is not null;
create index topups_settlement on topups (tenant_no, settlement, completed_at, topup_id) where state = 'COMPLETED';
create index topups_reversed on topups (tenant_no, completed_at, topup_id) where state = 'REVERSED';

-- What was reported of a top-up last.
create table topup_settlements (
  topup_id       text collate "C" primary key,
  tenant_no      integer not null,
  reported_minor bigint not null,
  fee_minor      bigint not null,
  net_minor      bigint not null,
  bank_reference text not null,
  report_id      text collate "C", -- null where the partner marked it settled
  settled_at     timestamptz not null,
  recorded_at    timestamptz not null,
  check (reported_minor = fee_minor + net_minor)
);

create table settlement_reports (
  report_id        text collate "C" primary key,
  tenant_no        integer not null,
  provider         text collate "C" not null,
  report_reference text collate "C" not null,
  currency         text collate "C" not null,
  period_start     timestamptz not null,
  period_end       timestamptz not null,
  lines_count      integer not null,
  gross_minor      bigint not null,
  fee_minor        bigint not null,
  net_minor        bigint not null,
  created_at       timestamptz not null,
  constraint settlement_reports_reference unique (tenant_no, provider, report_reference)
);

create table settlement_report_lines (
  report_id    text collate "C" not null,
  line_no      integer not null,
  tenant_no    integer not null,
  reference    text collate "C" not null,
  result       text collate "C" not null,
  topup_id     text collate "C",
  gross_minor  bigint not null,
  fee_minor    bigint not null,
  net_minor    bigint not null,
  ledger_minor bigint,
  settled_at   timestamptz not null,
  primary key (report_id, line_no)
);

-- Verified callbacks of payment providers that credited nothing: money that
-- somebody has to look after. tenant_no is null where no top-up was found.
create table provider_callbacks (
  callback_id  text collate "C" primary key,
  tenant_no    integer,
  provider     text collate "C" not null,
  result       text collate "C" not null,
  topup_id     text collate "C" not null,
  reference    text collate "C" not null,
  amount_minor bigint not null,
  currency     text collate "C" not null,
  received_at  timestamptz not null,
  -- A provider that repeats itself is recorded once.
  constraint provider_callbacks_once unique (provider, topup_id, reference, result)
);
create index provider_callbacks_tenant on provider_callbacks (tenant_no, received_at);

-- Entries in the order in which they can be seen: a reader that stops below the
-- oldest running transaction skips none that commits late. A BRIN costs the
-- payment path nothing to speak of.
alter table entries add column xid bigint not null default (pg_current_xact_id()::text::bigint);
create index entries_xid on entries using brin (xid) with (pages_per_range = 32, autosummarize = on);

-- How far the entries are folded into batches. Every transaction that had begun
-- at gathered_at is in. mark_xid is the first that had not at mark_at: once
-- what is below it is gathered, mark_at is the new gathered_at, however long a
-- transaction elsewhere held the reader back.
create table settlement_gathering (
  only_row    boolean primary key default true check (only_row),
  xid         bigint not null default 0,
  entry_id    text collate "C" not null default '',
  gathered_at timestamptz not null default '1970-01-01Z',
  mark_xid    bigint not null default 0,
  mark_at     timestamptz not null default '1970-01-01Z'
);
insert into settlement_gathering default values;

create table settlements (
  settlement_id text collate "C" primary key,
  tenant_no     integer not null,
  brand_id      text collate "C" not null default '', -- '' for what belongs to no brand
  currency      text collate "C" not null,
  state         text collate "C" not null default 'open' check (state in ('open', 'ready', 'settled')),
  period_start  timestamptz not null,
  period_end    timestamptz not null check (period_end > period_start),
  lines_count   bigint not null default 0,
  created_at    timestamptz not null,
  ready_at      timestamptz,
  check ((state = 'open') = (ready_at is null)),
  unique (tenant_no, brand_id, currency, period_start)
) with (fillfactor = 80);
create index settlements_list on settlements (tenant_no, period_end, settlement_id);
create index settlements_state on settlements (tenant_no, state, period_end, settlement_id);
create index settlements_brand on settlements (tenant_no, brand_id, period_end, settlement_id);
create index settlements_due on settlements (period_end) where state = 'open';

-- What the lines of a batch add up to, by class and kind of entry; credits and
-- debits apart.
create table settlement_sums (
  settlement_id text collate "C" not null,
  class         smallint not null,
  kind          text collate "C" not null,
  tenant_no     integer not null,
  plus_minor    bigint not null,
  minus_minor   bigint not null,
  primary key (settlement_id, class, kind)
) with (fillfactor = 80);

-- What an entry moved on the customer's side, per class: the merchant's side is
-- its opposite. Made from postings, never changed.
create table settlement_lines (
  entry_id       text collate "C" not null,
  class          smallint not null,
  tenant_no      integer not null,
  settlement_id  text collate "C" not null,
  kind           text collate "C" not null,
  source         text collate "C" not null default '', -- of a top-up or grant
  amount_minor   bigint not null check (amount_minor <> 0),
  currency       text collate "C" not null,
  ref_id         text collate "C" not null,
  transaction_id text collate "C",
  brand_id       text collate "C" not null default '',
  branch_id      text collate "C" not null default '',
  at             timestamptz not null,
  primary key (entry_id, class)
);
create index settlement_lines_batch on settlement_lines (settlement_id, at, entry_id, class);
create index settlement_lines_topups on settlement_lines (settlement_id, ref_id) where kind = 'topup';
create index settlement_lines_at on settlement_lines (tenant_no, at);

-- Comparisons with the partner's books. A run that is due is claimed by moving
-- due_at, a lease that ends by itself.
create table reconciliations (
  run_id            text collate "C" primary key,
  tenant_no         integer not null,
  brand_id          text collate "C" not null default '',
  branch_id         text collate "C" not null default '',
  currency          text collate "C" not null,
  state             text collate "C" not null check (state in ('running', 'matched', 'differs')),
  period_start      timestamptz not null,
  period_end        timestamptz not null,
  totals            jsonb not null,
  lines             jsonb not null default '[]',
  differences       jsonb not null default '[]',
  differences_count bigint not null default 0,
  complete          boolean not null default false,
  created_at        timestamptz not null,
  completed_at      timestamptz,
  due_at            timestamptz,
  check ((state = 'running') = (completed_at is null)),
  check ((state = 'running') = (due_at is not null))
);
create index reconciliations_due on reconciliations (due_at) where state = 'running';

create table reconciliation_entries (
  run_id       text collate "C" not null,
  item         text collate "C" not null,
  reference_id text collate "C" not null,
  tenant_no    integer not null,
  amount_minor bigint not null,
  primary key (run_id, item, reference_id)
);
