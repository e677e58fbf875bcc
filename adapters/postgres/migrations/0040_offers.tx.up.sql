-- Offers: what a merchant lays down, what sessions hold of it, and the
-- envelopes that pay. None of these rows is on the payment path, so a counter
-- or an envelope may be one row that every taker updates.

-- The merchant's catalogue version rises with every change of any offer; a
-- server that holds an older one loads what changed since.
create table offer_catalogues (
  tenant_no integer primary key,
  version   bigint not null
);

create table offers (
  offer_id          text collate "C" primary key,
  tenant_no         integer not null,
  brand_id          text not null default '',     -- empty: the whole merchant
  status            text not null check (status in ('draft', 'active', 'paused', 'archived')),
  version           integer not null default 1,   -- the latest one
  kind              text not null,
  starts_at         timestamptz,
  ends_at           timestamptz,
  catalogue_version bigint not null,              -- at the latest change of status or version
  created_at        timestamptz not null,
  updated_at        timestamptz not null
);
create index offers_list on offers (tenant_no, offer_id desc);
create index offers_changed on offers (tenant_no, catalogue_version);

-- Immutable: a change is a next version, and a session keeps the one it saw.
create table offer_versions (
  offer_id   text collate "C" not null references offers on delete cascade,
  version    integer not null,
  tenant_no  integer not null,
  definition json not null,
  created_at timestamptz not null,
  primary key (offer_id, version)
);

-- An application holds an offer, its use and its budget for one session.
create table offer_applications (
  application_id  text collate "C" primary key,
  tenant_no       integer not null,
  session_id      text collate "C" not null,
  offer_id        text collate "C" not null,
  version         integer not null,
  customer_id     text,
  state           text not null check (state in ('applied', 'redeemed', 'released')),
  kind            text not null,
  title           text not null,
  currency        text not null,
  discount_minor  bigint not null check (discount_minor >= 0), -- off the basket; 0 for cashback and points
  value_minor     bigint not null check (value_minor >= 0),    -- what it costs: held of the budget, then spent
  points          bigint not null default 0,
  lines           json not null,                               -- shares by basket line
  budget_id       text collate "C",
  basket_revision bigint not null,                             -- the one it was last judged on
  day             date not null,                               -- in the merchant's zone, for daily limits
  trace_id        text collate "C",
  transaction_id  text,
  release_reason  text,
  applied_at      timestamptz not null,
  redeemed_at     timestamptz,
  released_at     timestamptz
) with (fillfactor = 80);
create index offer_applications_session on offer_applications (tenant_no, session_id);
create index offer_applications_offer on offer_applications (tenant_no, offer_id, state);

-- How often an offer is held or redeemed: by everybody ('t'), on a day
-- ('d:2026-06-12'), by a customer ('c:cus_...'), by a customer on a day
-- ('x:2026-06-12:cus_...'). Kept only where the offer has such a limit.
create table offer_uses (
  tenant_no integer not null,
  offer_id  text collate "C" not null,
  scope     text collate "C" not null,
  uses      bigint not null check (uses >= 0),
  primary key (tenant_no, offer_id, scope)
) with (fillfactor = 70);

create table budgets (
  budget_id        text collate "C" primary key,
  tenant_no        integer not null,
  brand_id         text not null default '',
  name             text not null,
  currency         text not null,
  cap_minor        bigint not null check (cap_minor > 0),
  committed_minor  bigint not null default 0 check (committed_minor >= 0),
  spent_minor      bigint not null default 0 check (spent_minor >= 0),
  low_threshold_bp integer not null,
  low_told         boolean not null default false,             -- budget.low is told once
  funded_by        text not null,
  starts_at        timestamptz not null,
  ends_at          timestamptz,
  created_at       timestamptz not null,
  updated_at       timestamptz not null,
  constraint budgets_cap check (committed_minor + spent_minor <= cap_minor)
) with (fillfactor = 70);
create index budgets_tenant on budgets (tenant_no, budget_id desc);

create table budget_movements (
  budget_id             text collate "C" not null references budgets on delete cascade,
  position              bigint generated always as identity,
  tenant_no             integer not null,
  movement_id           text collate "C" not null,
  type                  text not null,
  amount_minor          bigint not null,
  available_after_minor bigint not null,
  reference_id          text,
  reason                text,
  at                    timestamptz not null,
  primary key (budget_id, position)
);

-- Decisions. A trace is a whole process: running inputs again gives outputs
-- byte for byte, so both are json (which keeps the text), not jsonb.
create table decision_traces (
  tenant_no   integer not null,
  trace_id    text collate "C" not null,
  kind        text not null,
  session_id  text collate "C",
  customer_id text collate "C",
  engine      text not null,
  inputs      json not null,
  outputs     json not null,
  at          timestamptz not null,
  primary key (tenant_no, trace_id)
);

create table decisions (
  decision_id      text collate "C" primary key,
  tenant_no        integer not null,
  trace_id         text collate "C" not null,
  kind             text not null,
  session_id       text collate "C",
  customer_id      text collate "C",
  offer_id         text collate "C",
  grant_id         text collate "C",
  amount_minor     bigint not null default 0,
  state            text not null,                              -- proposed, taken, declined, withheld, failed
  actuator         text not null default '',
  actuator_version text not null default '',
  card             json not null,
  plan             json,
  at               timestamptz not null
);
create index decisions_session on decisions (tenant_no, session_id, decision_id) where session_id is not null;

-- What was evaluated and not shown, or shown and not taken (rule 59).
create table counterfactuals (
  tenant_no   integer not null,
  session_id  text collate "C" not null,
  offer_id    text collate "C" not null,
  trace_id    text collate "C" not null,
  version     integer not null,
  outcome     text not null,                                   -- withheld, shown, taken, released, not_taken
  reason      text not null default '',
  value_minor bigint not null default 0,
  at          timestamptz not null,
  primary key (tenant_no, session_id, offer_id, trace_id)
);
create index counterfactuals_offer on counterfactuals (tenant_no, offer_id, outcome);
