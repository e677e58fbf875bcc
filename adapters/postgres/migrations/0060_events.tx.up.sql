-- The event log, which is the outbox too: rows are written by the business
-- statement itself. A reader orders by (xid, position) and stops below the
-- oldest running transaction, so an event that commits late is never skipped.
create table events (
  position   bigint generated always as identity,
  xid        xid8 not null default pg_current_xact_id(),
  event_id   text not null,
  tenant_no  integer not null,
  type       text not null,
  subject    text not null,
  trace_id   text,
  data       jsonb not null,
  at         timestamptz not null,
  primary key (xid, position)
);
create index events_tenant on events (tenant_no, xid, position);
