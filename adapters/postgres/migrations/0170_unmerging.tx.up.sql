-- Undoing merges. What a merge moved is noted row by row, so that exactly that
-- can go back; the notes go when the time to undo is over.
alter table identity_merges
  add column undo_until              timestamptz, -- null: merged before merges could be undone
  add column points_earned           bigint not null default 0 check (points_earned >= 0),
  add column points_burned           bigint not null default 0 check (points_burned >= 0),
  add column first_topup_at          timestamptz,
  add column first_purchase_at       timestamptz,
  add column noted                   boolean not null default false,
  add column undone_at               timestamptz,
  add column undo_reason             text not null default '',
  add column returned_actual_minor   bigint not null default 0 check (returned_actual_minor between 0 and actual_minor),
  add column returned_points         bigint not null default 0 check (returned_points between 0 and points),
  add column returned_grant_ids      text[] collate "C" not null default '{}',
  add column returned_credential_ids text[] collate "C" not null default '{}',
  add column undo_entry_ids          text[] collate "C" not null default '{}';
comment on column identity_merges.first_topup_at is 'of who remains, before the merge';
comment on column identity_merges.first_purchase_at is 'of who remains, before the merge';
comment on column identity_merges.noted is 'identity_merge_rows holds what moved';

-- Who was merged, to find the merge that took a customer.
create index identity_merges_source on identity_merges (tenant_no, source_customer_id, merge_id) where source_customer_id <> '';
create index identity_merges_noted on identity_merges (undo_until) where noted;

create table identity_merge_rows (
  merge_id  text collate "C" not null,
  record    text collate "C" not null, -- the table, or what was done to the row
  row_id    text collate "C" not null,
  tenant_no integer not null,
  amount    bigint, -- what a lot held, how often an offer was used, the version of preferences
  primary key (merge_id, record, row_id)
);
