-- Points: a money class of their own, counted in whole points. A customer's
-- account row carries the truth, as a wallet does; lots are burned in order of
-- expiry; the journal has an entry for each movement.
create table points_accounts (
  tenant_no   integer not null,
  customer_id text collate "C" not null,
  balance     bigint not null default 0 check (balance >= 0), -- sum of remaining of the lots; lapsed ones count until they are taken
  earned      bigint not null default 0 check (earned >= 0),
  burned      bigint not null default 0 check (burned >= 0),
  primary key (tenant_no, customer_id)
) with (fillfactor = 70);

create table points_lots (
  lot_id       text collate "C" primary key,
  tenant_no    integer not null,
  customer_id  text collate "C" not null,
  points       bigint not null check (points > 0),
  remaining    bigint not null check (remaining between 0 and points),
  reference_id text,
  earned_at    timestamptz not null,
  expires_at   timestamptz
) with (fillfactor = 80);
create index points_lots_live on points_lots (tenant_no, customer_id) where remaining > 0;
create index points_lots_lapsing on points_lots (expires_at) where remaining > 0 and expires_at is not null;

create table points_movements (
  movement_id   text collate "C" primary key,
  tenant_no     integer not null,
  customer_id   text collate "C" not null,
  type          text not null check (type in ('earn', 'burn', 'adjust', 'expire', 'reverse')),
  points        bigint not null check (points <> 0), -- negative where they went
  balance_after bigint not null check (balance_after >= 0),
  reference_id  text,
  reason        text,
  entry_id      text collate "C" not null,
  at            timestamptz not null
);
create index points_movements_customer on points_movements (tenant_no, customer_id, movement_id);
