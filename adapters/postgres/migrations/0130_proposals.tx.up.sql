-- Proposals: one-off incentives that somebody has to accept. One that is past
-- expires_at counts as expired before the sweep marks it.
create table proposals (
  proposal_id     text collate "C" primary key,
  tenant_no       integer not null,
  kind            text not null check (kind in ('upsell', 'recovery', 'goodwill')),
  state           text not null check (state in ('open', 'accepted', 'rejected', 'expired')),
  customer_id     text collate "C" not null,
  session_id      text collate "C",
  brand_id        text not null default '',         -- where it was proposed
  branch_id       text not null default '',
  offer_id        text collate "C" not null,        -- of the one-off offer that it becomes in a session
  title           text not null,
  value           json not null,
  currency        text not null,
  budget_id       text collate "C",
  reason          text,
  card            json not null,
  trace_id        text collate "C" not null,
  decision_id     text collate "C" not null,
  application_id  text collate "C",
  grant_id        text collate "C",
  decision_reason text,
  created_at      timestamptz not null,
  expires_at      timestamptz not null,
  decided_at      timestamptz,
  check ((state in ('accepted', 'rejected')) = (decided_at is not null)),
  check ((state = 'accepted') = (num_nonnulls(application_id, grant_id) = 1))
) with (fillfactor = 80);

-- A list is paged by id, whatever it is narrowed by.
create index proposals_list on proposals (tenant_no, proposal_id desc);
create index proposals_state on proposals (tenant_no, state, proposal_id desc);
create index proposals_customer on proposals (tenant_no, customer_id, proposal_id desc);
create index proposals_session on proposals (tenant_no, session_id, proposal_id desc) where session_id is not null;
-- What the expiry sweep reads.
create index proposals_due on proposals (expires_at, proposal_id) where state = 'open';
