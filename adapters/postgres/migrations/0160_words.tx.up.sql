-- What an erasure takes from records that are written once: words that somebody
-- wrote by hand. Everything else of them stays as it was written.

-- Arguments: the columns that hold words.
create function only_words_go() returns trigger language plpgsql as $$
begin
  if to_jsonb(new) - tg_argv = to_jsonb(old) - tg_argv
    and not exists (select from jsonb_each_text(to_jsonb(new)) w where w.key = any (tg_argv) and w.value is not null) then
    return null;
  end if;
  raise exception 'update of % is not allowed: it is written once; an erasure empties % and changes nothing else', tg_table_name, tg_argv
    using errcode = 'restrict_violation', constraint = 'only_words_go';
end $$;

drop trigger payment_returns_immutable on payment_returns;
create trigger payment_returns_immutable after delete on payment_returns
  for each statement execute function journal_is_immutable();
create trigger payment_returns_words after update on payment_returns
  for each row execute function only_words_go('reason');

drop trigger transaction_voids_immutable on transaction_voids;
create trigger transaction_voids_immutable after delete on transaction_voids
  for each statement execute function transactions_are_immutable();
create trigger transaction_voids_words after update on transaction_voids
  for each row execute function only_words_go('reason');

-- How an erasure and an export find what a person's sales and top-ups led to.
create index actuator_commands_decision on actuator_commands (tenant_no, decision_id) where decision_id <> '';
create index provider_callbacks_topup on provider_callbacks (tenant_no, topup_id);
create index settlement_report_lines_topup on settlement_report_lines (tenant_no, topup_id) where topup_id is not null;
