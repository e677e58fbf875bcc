-- What tills saw in a session, and did not decide. The event log tells of each;
-- data is the till's own and stays here.
create table session_events (
  tenant_no   integer not null,
  session_id  text collate "C" not null,
  event_id    text collate "C" not null,
  type        text not null,
  offer_id    text collate "C" not null default '',
  trace_id    text collate "C" not null default '',
  tender_type text not null default '',
  prompt      text not null default '',
  data        jsonb not null,
  occurred_at timestamptz not null,
  recorded_at timestamptz not null,
  primary key (tenant_no, session_id, event_id)
);

-- An offer in a feed (outcome shown) may have been put before the customer, who
-- may have said no, and may still take it later.
alter table counterfactuals
  add column seen_at     timestamptz,  -- the till showed it, for the first time
  add column declined_at timestamptz;  -- the customer declined it, for the first time

-- What the history of a session looks up. Debits, and what follows from them, are
-- not in it: they are found by their decisions, and their insert pays nothing.
create index events_subject on events (tenant_no, subject, xid, position)
  where starts_with(subject, 'cs_') or type in
    ('payment.authorized', 'payment.voided', 'payment.refunded', 'topup.prepared', 'topup.completed', 'topup.reversed', 'topup.settled');
create index topups_session on topups (tenant_no, session_id) where session_id is not null;
