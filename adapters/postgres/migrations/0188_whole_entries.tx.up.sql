-- An entry is one row with its lines: what was a row per line is an element of
-- four arrays, so that a payment writes one row and finds its lines with it.
-- Reading a database's lines is reading its entries.
lock table entries, postings, grants in access exclusive mode;
set local work_mem = '64MB';

-- What is not whole cannot become one row: it is for a person to look at.
do $$
declare
  bad text;
begin
  select coalesce(e.entry_id, p.entry_id) into bad
    from entries e full join (select tenant_no, entry_id, count(*) as lines, count(distinct currency) as currencies from postings group by 1, 2) p
      on p.tenant_no = e.tenant_no and p.entry_id = e.entry_id
    where e.entry_id is null or p.entry_id is null or p.lines < 2 or p.currencies <> 1 limit 1;
  if found then
    raise exception 'entry % has no head, no lines, one line, or lines in several currencies; ask "feddi ledger verify" of the version that wrote it', bad
      using errcode = 'data_corrupted';
  end if;
end $$;

-- Zero-sum per class, over the lines of an entry, which is of one currency. Most
-- entries have two lines, which entries_zero_sum adds up by itself.
create function entry_balances(classes int2[], amounts int8[]) returns boolean
language plpgsql immutable parallel safe as $$
declare
  sums int8[] := '{0,0,0,0,0}';
  actual int8 := 0;
  promo int8 := 0;
begin
  for i in 1 .. cardinality(amounts) loop
    if classes[i] = 1 then
      actual := actual + amounts[i];
    elsif classes[i] = 2 then
      promo := promo + amounts[i];
    elsif classes[i] between 3 and 5 then
      sums[classes[i]] := sums[classes[i]] + amounts[i];
    else
      return false;
    end if;
  end loop;
  return actual = 0 and promo = 0 and sums = '{0,0,0,0,0}';
end $$;

create table whole_entries (
  tenant_no integer not null,
  at        timestamptz not null,
  xid       bigint not null default (pg_current_xact_id()::text::bigint),
  entry_id  text collate "C" not null,
  kind      text collate "C" not null,
  ref_id    text collate "C" not null,
  reverses  text collate "C",
  trace_id  text collate "C",
  currency  text collate "C" not null,
  accounts  int2[] not null,
  classes   int2[] not null,
  owners    text[] collate "C" not null,
  amounts   int8[] not null
);

-- In the order in which they became visible, as entries_xid has them.
insert into whole_entries (tenant_no, at, xid, entry_id, kind, ref_id, reverses, trace_id, currency, accounts, classes, owners, amounts)
select e.tenant_no, e.at, e.xid, e.entry_id, e.kind, e.ref_id, e.reverses, e.trace_id, p.currency, p.accounts, p.classes, p.owners, p.amounts
from entries e join (
  select tenant_no, entry_id, min(currency) as currency, array_agg(account) as accounts, array_agg(class) as classes,
    array_agg(owner) as owners, array_agg(amount_minor) as amounts
  from (select * from postings order by entry_id, ctid) line group by entry_id, tenant_no) p
  on p.entry_id = e.entry_id and p.tenant_no = e.tenant_no
order by e.xid, e.entry_id;

drop table postings, entries;
drop function postings_zero_sum();
alter table whole_entries rename to entries;

alter table entries add constraint entries_pkey primary key (entry_id);
alter table entries add constraint entries_kind_check check (kind in ('payment', 'void', 'refund', 'topup', 'topup_reversal',
  'grant', 'expiry', 'clawback', 'points', 'merge', 'forfeit'));
-- Lines are two or more, each with all its parts. A null in an array makes a
-- comparison with it null, which is not enough.
alter table entries add constraint entries_lines check ((
  cardinality(amounts) >= 2 and array_ndims(amounts) = 1
  and cardinality(accounts) = cardinality(amounts) and cardinality(classes) = cardinality(amounts) and cardinality(owners) = cardinality(amounts)
  and 1 <= all (accounts) and 13 >= all (accounts) and 1 <= all (classes) and 5 >= all (classes) and 0 <> all (amounts)) is true);
alter table entries add constraint entries_zero_sum check ((
  cardinality(amounts) = 2 and classes[1] = classes[2] and amounts[1] = -amounts[2] or entry_balances(classes, amounts)) is true);
create index entries_xid on entries using brin (xid) with (pages_per_range = 32, autosummarize = on);
create trigger entries_immutable after update or delete on entries
  for each statement execute function journal_is_immutable();

comment on column entries.ref_id is 'what it is about: a payment, top-up or grant';
comment on column entries.currency is 'of all its lines';
comment on column entries.accounts is 'one per line; see account_name';
comment on column entries.classes is 'one per line; see class_name';
comment on column entries.owners is 'one per line: customer, grant or budget; null for the merchant''s own accounts';
comment on column entries.amounts is 'one per line, in minor units: into the account, or out of it where negative';

-- For people who read tables. No index leads into it: code that looks up lines
-- finds their entry, and takes them from its arrays.
create view postings as
select tenant_no, unnest(accounts) as account, unnest(classes) as class, unnest(amounts) as amount_minor, entry_id, unnest(owners) as owner, currency
from entries;
comment on view postings is 'the lines of entries, one per row';
comment on column postings.account is 'see account_name';
comment on column postings.class is 'see class_name';
comment on column postings.owner is 'customer, grant or budget; null for the merchant''s own accounts';

-- A lot names the entries that moved it, first the one that gave it, so that it
-- needs no index over lines. Whoever writes an entry with a line of a lot adds it.
alter table grants add column entry_ids text[] collate "C" not null default '{}';
update grants g set entry_ids = l.entry_ids
from (
  select tenant_no, owner, array_agg(entry_id order by kind <> 'grant', at, entry_id) as entry_ids
  from (select distinct tenant_no, kind, at, entry_id, owner from (
    select tenant_no, kind, at, entry_id, unnest(accounts) as account, unnest(owners) as owner from entries) line where account = 2) moved
  group by 1, 2) l
where l.tenant_no = g.tenant_no and l.owner = g.grant_id;
alter table grants alter column entry_ids drop default;
comment on column grants.entry_ids is 'the entries with a line of this lot, in the order in which they were written: first the one that gave it';
