-- A delivery's first attempt stands in its own row, which is the last word for
-- nearly all of them: one row written once, where there were two and a change.
-- Later attempts, and the first ones of before, stay in webhook_attempts.
alter table webhook_deliveries
  add column first_status_code  integer,
  add column first_error        text,
  add column first_excerpt      text,
  add column first_duration_ms  integer,
  add column first_attempted_at timestamptz; -- null while there was none
