-- Who exists and who may call. tenant_no stands for (partner, mode, merchant):
-- it is a column of every row and a condition of every statement.
create table partners (
  partner_id text collate "C" primary key,
  name       text not null,
  sandbox    boolean not null default false, -- exists for one sandbox and goes with it
  created_at timestamptz not null
);
create index partners_sandbox on partners (created_at) where sandbox;

create table merchants (
  merchant_id text collate "C" primary key,
  tenant_no   integer generated always as identity unique,
  partner_id  text collate "C" not null references partners on delete cascade,
  live        boolean not null,
  name        text not null,
  status      text not null default 'active' check (status in ('active', 'suspended')),
  settings    jsonb not null,
  created_at  timestamptz not null
);
create index merchants_partner on merchants (partner_id, live);

-- Places. The composite keys make a branch of another merchant's brand, or a
-- terminal whose brand is not its branch's, impossible to write.
create table brands (
  brand_id   text collate "C" primary key,
  tenant_no  integer not null references merchants (tenant_no) on delete cascade,
  name       text not null,
  created_at timestamptz not null,
  unique (tenant_no, brand_id)
);

create table branches (
  branch_id  text collate "C" primary key,
  tenant_no  integer not null,
  brand_id   text collate "C" not null,
  name       text not null,
  created_at timestamptz not null,
  unique (tenant_no, brand_id, branch_id),
  foreign key (tenant_no, brand_id) references brands (tenant_no, brand_id) on delete cascade
);

create table terminals (
  terminal_id  text collate "C" primary key,
  tenant_no    integer not null,
  brand_id     text collate "C" not null,
  branch_id    text collate "C" not null,
  name         text not null,
  status       text not null default 'active' check (status in ('active', 'retired')),
  last_seen_at timestamptz,
  created_at   timestamptz not null,
  foreign key (tenant_no, brand_id, branch_id) references branches (tenant_no, brand_id, branch_id) on delete cascade
);
create index terminals_branch on terminals (tenant_no, brand_id, branch_id);

-- Keys. Only SHA-256 of the raw key is kept.
create table api_keys (
  key_id       text collate "C" primary key,
  partner_id   text collate "C" not null references partners on delete cascade,
  live         boolean not null,
  key_hash     bytea not null unique check (octet_length(key_hash) = 32),
  prefix       text not null check (length(prefix) <= 16),
  name         text not null default '',
  scope        text not null check (scope in ('platform', 'enterprise', 'brand', 'branch')),
  operator     boolean not null default false,
  merchants    text[] collate "C" not null default '{}', -- none for a platform key: all of the partner's
  brand_id     text collate "C" not null default '',
  branch_id    text collate "C" not null default '',
  status       text not null default 'active' check (status in ('active', 'revoked')),
  replaced_by  text collate "C" not null default '',
  created_at   timestamptz not null,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  constraint api_keys_scope check (case scope
    when 'platform' then merchants = '{}' and brand_id = '' and branch_id = ''
    when 'enterprise' then cardinality(merchants) > 0 and brand_id = '' and branch_id = ''
    when 'brand' then cardinality(merchants) = 1 and brand_id <> '' and branch_id = ''
    else cardinality(merchants) = 1 and brand_id <> '' and branch_id <> '' end),
  constraint api_keys_revoked check ((status = 'revoked') = (revoked_at is not null))
) with (fillfactor = 80); -- last_used_at is no index's: updated in the page
create index api_keys_partner on api_keys (partner_id, live, key_id desc);

-- Terminal tokens that were ended before their time; a row may go once the
-- token has expired by itself.
create table revoked_tokens (
  token_id   text collate "C" primary key,
  partner_id text collate "C" not null references partners on delete cascade,
  live       boolean not null,
  revoked_at timestamptz not null,
  expires_at timestamptz not null
);
create index revoked_tokens_expiry on revoked_tokens (expires_at);

-- What the servers of this database share and no caller may know. sealed says
-- whether value is encrypted with the operator's master key.
create table server_secrets (
  name       text collate "C" not null check (name in ('signing_key', 'server_key')),
  secret_id  text collate "C" not null,
  value      bytea not null,
  sealed     boolean not null,
  created_at timestamptz not null,
  primary key (name, secret_id)
);
create unique index server_secrets_one_server_key on server_secrets (name) where name = 'server_key';

-- What servers cache of the above, and must forget: each server polls this log
-- twice a second. A reader starts at the oldest transaction that was running
-- when it last read, so a change that commits late is never skipped. Written by
-- triggers, so that a change by hand is heard too.
create table tenancy_changes (
  position bigint generated always as identity primary key,
  xid      xid8 not null default pg_current_xact_id(),
  kind     text not null,
  id       text not null,
  at       timestamptz not null default now() -- for the sweep only
);
create index tenancy_changes_xid on tenancy_changes (xid);

-- Arguments: the kind, and the column with the id.
create function tenancy_changed() returns trigger language plpgsql as $$
begin
  insert into tenancy_changes (kind, id)
  values (tg_argv[0], to_jsonb(case when tg_op = 'DELETE' then old else new end) ->> tg_argv[1]);
  return null;
end $$;

-- A new merchant is told because platform keys reach it; other new rows are
-- cached nowhere yet. last_used_at and last_seen_at are told to nobody.
create trigger merchants_changed after insert or delete or update of live, name, status, settings on merchants
  for each row execute function tenancy_changed('merchant', 'merchant_id');
create trigger brands_changed after delete or update of tenant_no, name on brands
  for each row execute function tenancy_changed('brand', 'brand_id');
create trigger branches_changed after delete or update of tenant_no, brand_id, name on branches
  for each row execute function tenancy_changed('branch', 'branch_id');
create trigger terminals_changed after delete or update of tenant_no, brand_id, branch_id, name, status on terminals
  for each row execute function tenancy_changed('terminal', 'terminal_id');
create trigger api_keys_changed after delete or update of status, merchants, scope, operator, brand_id, branch_id, key_hash on api_keys
  for each row execute function tenancy_changed('key', 'key_id');
create trigger revoked_tokens_changed after insert on revoked_tokens
  for each row execute function tenancy_changed('token', 'token_id');
