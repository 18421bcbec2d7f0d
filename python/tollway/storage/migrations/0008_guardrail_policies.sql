-- Guardrail policies that people made through the API, beside those that the configuration file declares. What a
-- version says is never changed: a change is another version, and at most one of a name holds.

create table guardrail_policies (
    name       text        not null,
    version    bigint      not null check (version > 0),
    body       jsonb       not null,            -- in the words of the configuration file
    created_at timestamptz not null default clock_timestamp(),
    created_by text        not null,            -- key:<id>, cli:<account>
    is_active  boolean     not null default true,
    primary key (name, version)
);

create unique index guardrail_policies_that_hold on guardrail_policies (name) where is_active;

create function keep_guardrail_versions() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or (new.name, new.version, new.body, new.created_at, new.created_by)
        is distinct from (old.name, old.version, old.body, old.created_at, old.created_by)
    then
        raise exception 'a version of a guardrail policy stays as it is';
    end if;
    return new;
end
$$;

create trigger keep before update or delete on guardrail_policies
    for each row execute function keep_guardrail_versions();

-- The gateways ask which versions hold, and for what they do not know of them: the announcement need not say which.
create function announce_guardrails() returns trigger language plpgsql as $$
begin
    perform pg_notify('tollway_guardrails', '');
    return null;
end
$$;

create trigger announce after insert or update on guardrail_policies
    for each statement execute function announce_guardrails();

-- What digests and placeholders are keyed by, on every host: made once, here. A random UUID has 122 random bits.
create table guardrail_secret (
    is_only boolean primary key default true check (is_only),
    secret  bytea   not null check (octet_length(secret) = 32)
);

insert into guardrail_secret (secret)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

-- A key's own policy goes before its tenant's.
alter table api_keys add column guardrails text;

-- Whom a policy is bound to is asked before it is taken away.
create index api_keys_by_guardrails on api_keys (guardrails) where guardrails is not null;
create index tenants_by_guardrails on tenants (guardrails) where guardrails is not null;
