-- Which server runs a background job now. A lease that is not renewed ends by
-- itself, so a crashed server's jobs go on elsewhere.
create table job_leases (
  job          text collate "C" primary key,
  holder       text collate "C" not null,
  leased_until timestamptz not null,
  last_run_at  timestamptz not null default '-infinity'
);
