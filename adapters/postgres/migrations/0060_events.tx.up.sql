-- The event log, which is the outbox too: rows are written by the business
-- statement itself. A reader orders by (xid, position) and stops below the
-- oldest running transaction, so an event that commits late is never skipped.
create table events (
  position   bigint generated always as identity,
  xid        xid8 not null default pg_current_xact_id(),
  event_id   text collate "C" not null,
  tenant_no  integer not null,
  type       text collate "C" not null,
  subject    text collate "C" not null,
  trace_id   text collate "C",
  data       json not null, -- kept as written: nobody looks into it here, and every reader passes it on
  at         timestamptz not null,
  primary key (xid, position)
);
-- Polling reads one tenant's events.
create index events_tenant on events (tenant_no, xid, position);

-- How far each consumer of the log has come, and who reads for it now.
create table event_consumers (
  consumer     text collate "C" primary key,
  xid          xid8 not null default '0',
  position     bigint not null default 0,
  holder       text collate "C" not null default '',
  leased_until timestamptz not null default '-infinity'
);

-- Events that a consumer could not handle, set aside for an operator.
create table event_parked (
  consumer  text collate "C" not null,
  xid       xid8 not null,
  position  bigint not null,
  event_id  text collate "C" not null,
  tenant_no integer not null,
  cause     text not null,
  parked_at timestamptz not null default now(),
  primary key (consumer, xid, position)
);
