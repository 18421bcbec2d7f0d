-- Who may call the gateway: tenants, their users, their keys.
-- Secrets are never here: a key is its SHA-256 digest, a password its argon2 hash.

create table tenants (
    id                text        primary key default gen_random_uuid()::text,
    name              text        not null unique,
    email             text,
    password_hash     text,
    is_active         boolean     not null default true,
    is_admin          boolean     not null default false,
    rate_limit        jsonb,      -- {"rpm", "tpm", "concurrency"}; null: the limits named default hold
    monthly_budget    numeric(20, 12) check (monthly_budget >= 0),
    current_spend     numeric     not null default 0,   -- always the sum of the tenant's usage rows, in US dollars
    allowed_models    text[],     -- aliases; null: all
    allowed_providers text[],
    guardrails        text,       -- name of a policy; null: the one named default
    logging_policy    jsonb       not null default '{"payloads": "none"}',
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default clock_timestamp()
);

create table users (
    id         text        primary key default gen_random_uuid()::text,
    tenant_id  text        references tenants (id),
    email      text        not null,
    name       text        not null default '',
    role       text        not null check (
        role in ('platform_admin', 'tenant_admin', 'developer', 'billing', 'auditor', 'viewer')
    ),
    is_active  boolean     not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default clock_timestamp()
);

create unique index users_by_email on users (lower(email));
create index users_by_tenant on users (tenant_id);

create table api_keys (
    id                      text        primary key default gen_random_uuid()::text,
    tenant_id               text        references tenants (id),   -- null: an admin key, which is nobody's
    user_id                 text        references users (id),
    name                    text        not null,
    key_hash                bytea       not null unique check (octet_length(key_hash) = 32),
    key_prefix              text        not null,                  -- what may be shown of the secret
    is_active               boolean     not null default true,
    environment             text        not null,
    scopes                  text[]      not null,
    rate_limit_override     jsonb,
    allowed_models_override text[],
    expires_at              timestamptz,
    created_at              timestamptz not null default now(),
    updated_at              timestamptz not null default clock_timestamp(),
    revoked_at              timestamptz,
    constraint only_a_tenants_key_calls_models check (tenant_id is not null or not 'gateway:use' = any (scopes))
);

create index api_keys_by_tenant on api_keys (tenant_id, created_at, id);
create index api_keys_by_creation on api_keys (created_at, id);
create index tenants_by_creation on tenants (created_at, id);

-- The gateways follow changes by NOTIFY, and ask for "updated since" in case a notification is lost.
create index api_keys_by_update on api_keys (updated_at);
create index tenants_by_update on tenants (updated_at);

create function stamp_update() returns trigger language plpgsql as $$
begin
    new.updated_at := clock_timestamp();   -- not now(): a transaction may have begun long ago
    return new;
end
$$;

create function announce_key() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('tollway_keys', json_build_object('digest', encode(old.key_hash, 'hex'))::text);
    end if;
    if tg_op <> 'DELETE' then
        perform pg_notify('tollway_keys', json_build_object('digest', encode(new.key_hash, 'hex'))::text);
    end if;
    return null;
end
$$;

create function announce_tenant() returns trigger language plpgsql as $$
begin
    perform pg_notify('tollway_keys', json_build_object('tenant_id', old.id)::text);
    return null;
end
$$;

-- current_spend is not in these lists: it changes with every batch of usage rows, and no gateway judges a key by it.
create trigger stamp before update of name, is_active, rate_limit, allowed_models, guardrails on tenants
    for each row execute function stamp_update();
create trigger announce after delete or update of name, is_active, rate_limit, allowed_models, guardrails on tenants
    for each row execute function announce_tenant();
create trigger stamp before update on users
    for each row execute function stamp_update();
create trigger stamp before update on api_keys
    for each row execute function stamp_update();
create trigger announce after insert or update or delete on api_keys
    for each row execute function announce_key();
