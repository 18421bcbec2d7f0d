-- What people did, and what they configured through the API.

create table audit_logs (
    id      bigint      generated always as identity primary key,
    at      timestamptz not null default clock_timestamp(),
    actor   text        not null,   -- key:<id>, cli:<account>
    action  text        not null,   -- tenant.created, key.revoked, …
    subject text        not null,   -- the id of what was changed
    detail  jsonb       not null default '{}'   -- never a secret
);

create index audit_logs_by_time on audit_logs (at, id);
create index audit_logs_by_subject on audit_logs (subject, at);

create table sso_configs (
    id            text        primary key default gen_random_uuid()::text,
    tenant_id     text        references tenants (id),
    provider      text        not null,
    issuer        text        not null,
    client_id     text        not null,
    client_secret bytea,      -- sealed
    settings      jsonb       not null default '{}',
    is_active     boolean     not null default true,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default clock_timestamp(),
    unique (tenant_id, provider)
);

create table provider_configs (
    id         text        primary key default gen_random_uuid()::text,
    name       text        not null unique,
    kind       text        not null,
    base_url   text,
    api_key    bytea,         -- sealed
    settings   jsonb       not null default '{}',
    is_active  boolean     not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default clock_timestamp()
);

create trigger stamp before update on sso_configs for each row execute function stamp_update();
create trigger stamp before update on provider_configs for each row execute function stamp_update();
