-- A wallet says itself whether its customer may pay, so that a payment reads
-- one row less, and so that whoever disables, merges or erases a customer moves
-- the wallet's row: a payment that was decided before finds it gone and is
-- decided anew. The customers stay what decides; these triggers keep the copy.
alter table wallets add column verified boolean not null default false;
alter table wallets add column active boolean not null default false;
comment on column wallets.verified is 'the customer''s phone is proven; kept by trigger';
comment on column wallets.active is 'the customer is not disabled, merged or erased; kept by trigger';

update wallets w set verified = c.state = 'VERIFIED', active = c.status = 'active'
  from customers c where c.tenant_no = w.tenant_no and c.customer_id = w.customer_id;

create function wallet_of_customer() returns trigger language plpgsql as $$
begin
  select c.state = 'VERIFIED', c.status = 'active' into new.verified, new.active
    from customers c where c.tenant_no = new.tenant_no and c.customer_id = new.customer_id;
  new.verified := coalesce(new.verified, false);
  new.active := coalesce(new.active, false);
  return new;
end $$;
create trigger wallets_opened before insert on wallets for each row execute function wallet_of_customer();

create function customer_of_wallet() returns trigger language plpgsql as $$
begin
  update wallets set verified = new.state = 'VERIFIED', active = new.status = 'active'
    where tenant_no = new.tenant_no and customer_id = new.customer_id;
  return null;
end $$;
create trigger customers_changed after update of state, status on customers for each row
  when (old.state <> new.state or old.status <> new.status) execute function customer_of_wallet();
