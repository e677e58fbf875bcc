-- The latest feed of a session: what a trial of offers is compared with. Feeds
-- only, so that no other decision pays for it.
create index decision_traces_feeds on decision_traces (tenant_no, session_id, at desc, trace_id desc)
  where kind = 'offer' and session_id is not null;
