-- Subscriptions and their deliveries. A delivery row is queue, schedule and
-- state at once: due_at is when it may be claimed next, and a claim moves it
-- ahead by the lease, so that a crashed worker's deliveries come back by
-- themselves.
create table webhook_subscriptions (
  subscription_id      text collate "C" primary key,
  tenant_no            integer not null,
  url                  text not null,
  event_types          text[] not null,
  status               text not null check (status in ('active', 'paused', 'disabled')),
  ordered              boolean not null,
  description          text not null default '',
  secret               bytea not null,        -- sealed with the server's key
  previous_secret      bytea,                 -- signs along until previous_secret_expires_at
  previous_secret_expires_at timestamptz,
  consecutive_failures integer not null default 0,
  last_success_at      timestamptz,
  last_failure_at      timestamptz,
  created_at           timestamptz not null,
  updated_at           timestamptz not null
);
create index webhook_subscriptions_tenant on webhook_subscriptions (tenant_no, subscription_id);

create table webhook_deliveries (
  delivery_no     bigint generated always as identity primary key,
  delivery_id     text collate "C" not null unique,
  tenant_no       integer not null,
  subscription_id text collate "C" not null,
  event_id        text collate "C" not null,
  event_type      text collate "C" not null,
  subject         text collate "C" not null,
  event_xid       xid8 not null,
  event_position  bigint not null,
  state           smallint not null default 0, -- 0 pending, 1 retrying, 2 delivered, 3 parked
  attempts        integer not null default 0,
  due_at          timestamptz not null,
  created_at      timestamptz not null,
  requeued_at     timestamptz, -- when it was last sent off again by hand: its day of tries begins anew
  delivered_at    timestamptz,
  -- One delivery for an event and a subscription, however often fan-out runs.
  unique (subscription_id, event_xid, event_position)
) with (fillfactor = 80);
create index webhook_deliveries_due on webhook_deliveries (subscription_id, due_at) where state < 2;
create index webhook_deliveries_tenant on webhook_deliveries (tenant_no, delivery_no);

create table webhook_attempts (
  delivery_no  bigint not null,
  attempt      integer not null,
  status_code  integer,
  error        text,
  excerpt      text,
  duration_ms  integer not null,
  attempted_at timestamptz not null,
  primary key (delivery_no, attempt)
);
