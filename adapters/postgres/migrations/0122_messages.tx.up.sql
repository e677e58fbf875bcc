-- Messages to customers that wait to be handed over. Whom it goes to is read
-- when it goes: no number and no address stands here.
create table messages (
  message_id     text collate "C" primary key,
  tenant_no      integer not null,
  customer_id    text collate "C" not null,
  transaction_id text collate "C" not null,
  channel        text not null check (channel in ('sms', 'email', 'push', 'whatsapp')),
  state          text not null check (state in ('queued', 'sent', 'failed', 'cancelled')),
  attempts       integer not null default 0,
  cause          text not null default '', -- why it failed or was cancelled, in machine form
  due_at         timestamptz not null,     -- claimed by moving it: a lease that ends by itself
  created_at     timestamptz not null,
  ended_at       timestamptz,
  check ((state = 'queued') = (ended_at is null))
) with (fillfactor = 80);
create index messages_due on messages (due_at) where state = 'queued';
create index messages_customer on messages (tenant_no, customer_id, message_id);
