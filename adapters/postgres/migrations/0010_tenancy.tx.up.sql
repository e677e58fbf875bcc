-- Who exists and who may call. tenant_no stands for (partner, mode, merchant):
-- it is a column of every row and a condition of every statement.
create table partners (
  partner_id text primary key,
  name       text not null,
  created_at timestamptz not null
);

create table merchants (
  merchant_id text primary key,
  tenant_no   integer generated always as identity unique,
  partner_id  text not null references partners on delete cascade,
  live        boolean not null,
  name        text not null,
  status      text not null default 'active',
  settings    jsonb not null,
  created_at  timestamptz not null
);
create index merchants_partner on merchants (partner_id, live);
