-- Terminals as devices: what the maker and the partner call them, what they
-- last reported, and which of their tokens still count.
alter table terminals
  add column reference        text collate "C" not null default '',
  add column serial_number    text collate "C" not null default '',
  add column model            text not null default '',
  add column software_version text not null default '',
  -- Tokens carry the generation that they were issued in; those of an earlier
  -- one are refused. A count, because the time in a token is in whole seconds.
  add column token_generation integer not null default 0;
-- Each terminal has its own row, and no column of an index is reported: a
-- heartbeat is a HOT update, written in the background for many at a time.
alter table terminals set (fillfactor = 70);
create unique index terminals_serial on terminals (tenant_no, serial_number) where serial_number <> '';
create unique index terminals_reference on terminals (tenant_no, reference) where reference <> '';
create index terminals_list on terminals (tenant_no, created_at, terminal_id);
create index terminals_branch_list on terminals (tenant_no, branch_id, created_at, terminal_id);

-- last_seen_at and software_version are told to nobody, as before.
drop trigger terminals_changed on terminals;
create trigger terminals_changed
  after delete or update of tenant_no, brand_id, branch_id, name, status, reference, serial_number, model, token_generation on terminals
  for each row execute function tenancy_changed('terminal', 'terminal_id');

-- What the partner calls a merchant, unique for an integration in one mode, and
-- its places, unique for the merchant.
alter table merchants add column reference text collate "C" not null default '';
create unique index merchants_reference on merchants (partner_id, live, reference) where reference <> '';
alter table brands add column reference text collate "C" not null default '';
create unique index brands_reference on brands (tenant_no, reference) where reference <> '';
alter table branches add column reference text collate "C" not null default '', add column address text not null default '';
create unique index branches_reference on branches (tenant_no, reference) where reference <> '';

-- What a till may have read and must read again when it changed: one counter
-- for each subject of a merchant. Written by triggers, in the transaction of
-- the change, so that no writer can forget it and none commits behind it. None
-- of these tables is written by a payment.
create table till_revisions (
  tenant_no integer not null,
  subject   text collate "C" not null check (subject in ('capabilities', 'offers', 'reload_bonus', 'topup_skus')),
  revision  bigint not null,
  primary key (tenant_no, subject)
) with (fillfactor = 70);

-- Argument: the subject.
create function till_must_read() returns trigger language plpgsql as $$
begin
  insert into till_revisions (tenant_no, subject, revision) values (new.tenant_no, tg_argv[0], 1)
  on conflict (tenant_no, subject) do update set revision = till_revisions.revision + 1;
  return null;
end $$;
create trigger merchants_till after update of name, status, settings on merchants
  for each row execute function till_must_read('capabilities');
create trigger offers_till after insert or update on offer_catalogues
  for each row execute function till_must_read('offers');
create trigger reload_bonus_till after insert or update on reload_bonus
  for each row execute function till_must_read('reload_bonus');
create trigger topup_skus_till after insert or update on topup_skus
  for each row execute function till_must_read('topup_skus');

-- A till asks at every heartbeat what is open at it.
create index checkout_sessions_terminal on checkout_sessions (tenant_no, terminal_id, opened_at, session_id)
  where state = 'open' and terminal_id <> '';
