-- A payment's decision is written once by the server itself and read as bytes:
-- the database need not check a kilobyte of JSON on the way of every payment.
alter table payments alter column decision type text collate "C" using decision::text;
comment on column payments.decision is 'snapshot and plan of the debit as validated, JSON: planning the snapshot again gives the plan, byte for byte';

-- Some decisions are compressed; where there is lz4, it is the cheaper way.
do $$ begin
  alter table payments alter column decision set compression lz4;
exception when feature_not_supported then null;
end $$;
