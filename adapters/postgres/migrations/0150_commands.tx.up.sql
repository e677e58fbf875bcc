-- What actuators do outside: the hosts that were granted to them, commands that
-- wait to be carried out, schedules, and the facts that commands answered. All
-- of it belongs to the place of an installation (merchant, name, shadow), and so
-- outlives its versions.

-- hosts take the place of network, which allowed all or nothing.
alter table actuator_installations add column hosts text[] not null default '{}';
update actuator_installations set hosts = coalesce((
  select array_agg(h) from json_array_elements_text(coalesce(manifest->'hosts', '[]')) h where h <> '*'), '{}')
where network;
alter table actuator_installations drop column network;

create table actuator_commands (
  command_id   text collate "C" primary key,   -- the idempotency key too
  tenant_no    integer not null references merchants (tenant_no) on delete cascade,
  actuator     text collate "C" not null,
  shadow       boolean not null default false,
  kind         text collate "C" not null,
  state        text not null default 'pending' check (state in ('pending', 'done', 'parked')),
  scheduled    boolean not null default false,
  decision_id  text collate "C" not null default '',
  payload      json,                           -- null for a scheduled one
  attempts     integer not null default 0,
  due_at       timestamptz,                    -- while it is pending
  reference    text not null default '',
  result       json,
  failure      text not null default '',       -- of the last attempt, for an operator
  committed_at timestamptz not null,
  finished_at  timestamptz,
  check ((state = 'pending') = (due_at is not null)),
  check ((state = 'pending') = (finished_at is null))
);
create index actuator_commands_due on actuator_commands (due_at) where state = 'pending';
create index actuator_commands_finished on actuator_commands (finished_at) where state <> 'pending';
create index actuator_commands_list on actuator_commands (tenant_no, actuator, command_id desc);
-- A schedule that is slower than its interval does not pile up.
create unique index actuator_commands_scheduled on actuator_commands (tenant_no, actuator, shadow, kind) where scheduled and state = 'pending';

create table actuator_schedules (
  tenant_no integer not null references merchants (tenant_no) on delete cascade,
  actuator  text collate "C" not null,
  shadow    boolean not null,
  kind      text collate "C" not null,
  every     interval not null check (every >= interval '1 second'),
  next_at   timestamptz not null,
  primary key (tenant_no, actuator, shadow, kind)
);
create index actuator_schedules_next on actuator_schedules (next_at);

create table actuator_facts (
  tenant_no    integer not null references merchants (tenant_no) on delete cascade,
  actuator     text collate "C" not null,
  shadow       boolean not null,
  facts        json not null,
  refreshed_at timestamptz not null,
  primary key (tenant_no, actuator, shadow)
);

-- Plans that broke a rule: the operator's record. One row for each rule, however
-- often it is broken.
create table actuator_rejections (
  tenant_no   integer not null references merchants (tenant_no) on delete cascade,
  actuator    text collate "C" not null,
  version     text collate "C" not null,
  rule        text collate "C" not null,
  count       bigint not null,
  snapshot_id text not null,
  message     text not null,
  first_at    timestamptz not null,
  last_at     timestamptz not null,
  primary key (tenant_no, actuator, version, rule)
);
create index actuator_rejections_last on actuator_rejections (last_at desc);

alter table actuator_status add column executions bigint not null default 0;
