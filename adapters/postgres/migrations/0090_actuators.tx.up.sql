-- Actuators that merchants have of their own: what was installed, what a
-- shadow would have done, and how each fares on the servers.

-- A sale's rulings are no longer the platform's two alone.
alter table transaction_rulings drop constraint transaction_rulings_kind_check;
alter table transaction_rulings add constraint transaction_rulings_kind_check
  check (kind in ('cashback', 'attribution', 'upsell', 'enrichment'));

create table actuator_installations (
  installation_id text collate "C" primary key,
  tenant_no       integer not null references merchants (tenant_no) on delete cascade,
  name            text collate "C" not null,
  version         text not null,
  path            text not null,
  sha256          text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  manifest        json not null,               -- as it was declared when it was installed
  settings        json not null,
  max_grant_minor bigint not null default 0 check (max_grant_minor >= 0), -- 0: the total of the sale
  network         boolean not null default false,
  shadow          boolean not null,
  installed_at    timestamptz not null,
  removed_at      timestamptz
);
-- One version of an actuator is live, and one may run beside it as a shadow.
create unique index actuator_installations_current on actuator_installations (tenant_no, name, shadow) where removed_at is null;

-- One live actuator decides each kind of a merchant. A row per kind makes two
-- installations at once impossible, whoever is faster.
create table actuator_kinds (
  tenant_no       integer not null,
  kind            text collate "C" not null,
  installation_id text collate "C" not null references actuator_installations on delete cascade,
  primary key (tenant_no, kind)
);

-- Servers ask for this number every second, and read the rest when it moves.
create table actuator_revision (
  one      boolean primary key default true check (one),
  revision bigint not null
);
insert into actuator_revision (revision) values (0);

create function actuator_installations_changed() returns trigger language plpgsql as $$
begin
  update actuator_revision set revision = revision + 1;
  return null;
end $$;
create trigger actuator_installations_changed after insert or update or delete on actuator_installations
  for each statement execute function actuator_installations_changed();

-- What a shadow would have decided. Nothing of it is committed.
create table actuator_shadow_plans (
  tenant_no       integer not null,
  installation_id text collate "C" not null,
  transaction_id  text collate "C" not null,
  kind            text not null,
  outcome         text not null check (outcome in ('effects', 'refusal', 'failure')),
  grant_minor     bigint not null default 0,
  currency        text not null,
  snapshot        json not null,
  plan            json,                        -- null where it failed
  failure         text not null default '',    -- why, for an operator
  at              timestamptz not null,
  primary key (installation_id, transaction_id, kind)
);

-- How the actuators of each server fare, as it last told.
create table actuator_status (
  server          text collate "C" not null,
  actuator        text collate "C" not null,   -- name, or the installation's id
  tenant_no       integer not null default 0,  -- 0: the platform's
  state           text not null,
  reason          text not null,
  since           timestamptz not null,
  restarts        bigint not null,
  calls           bigint not null,
  snapshots       bigint not null,
  failures        bigint not null,
  rejections      bigint not null,
  p50_us          bigint not null,
  p99_us          bigint not null,
  told_at         timestamptz not null default now(),
  primary key (server, actuator)
) with (fillfactor = 70);
