-- A payment's decision takes a third of the bytes of its JSON, which nobody in the
-- database looks into. What is there stays JSON; both are read.
alter table payments alter column decision type bytea using convert_to(decision, 'UTF8');
comment on column payments.decision is 'snapshot and plan of the debit as proven: planning the snapshot again gives the plan, byte for byte. The form is in core/actuation/record; feddi payments decision ID prints one. Before 0190 it was JSON, which begins with a brace';

-- That of a payment from dozens of lots is compressed; where there is lz4, it is the cheaper way.
do $$ begin
  alter table payments alter column decision set compression lz4;
exception when feature_not_supported then null;
end $$;
