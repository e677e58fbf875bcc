-- Indexes that the lists' filters and a sweep were found to want.
--
-- The sweep of what servers were told about tenancy finds it by age.
create index tenancy_changes_at on tenancy_changes (at);

-- The deliveries of one event, and the parked ones: few among very many.
create index webhook_deliveries_event on webhook_deliveries (tenant_no, event_id);
create index webhook_deliveries_parked on webhook_deliveries (tenant_no, delivery_no) where state = 3;

-- The sales of one terminal, which are few among those of its merchant.
create index transactions_terminal on transactions (tenant_no, terminal_id, created_at, transaction_id) where terminal_id <> '';
