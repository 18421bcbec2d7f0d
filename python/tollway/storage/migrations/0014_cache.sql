-- The cache of answers: what tenants and keys say of it, what is to be forgotten, and what people think of hits.

-- In the words of the gateways (tollway.contract.cache.CachePolicy); null: the tenant's, or the file's.
alter table tenants add column cache jsonb;
alter table api_keys add column cache jsonb;

create trigger stamp_cache before update of cache on tenants
    for each row execute function stamp_update();
create trigger announce_cache after update of cache on tenants
    for each row execute function announce_tenant();

-- Entries that nobody may serve any more: those for which all that is set holds, all of them where nothing is. Hosts
-- without a Redis hear of it here, and those that were away read it when they are back. Kept for as long as an entry
-- may live.
create table cache_removals (
    id        bigint      primary key generated always as identity,
    at        timestamptz not null default clock_timestamp(),
    tenant_id text,
    key_id    text,
    model     text,
    key       bytea       check (octet_length(key) = 32),
    before_ms bigint      -- Unix time: only entries that were filled before
);

create index cache_removals_by_time on cache_removals (at);

create function announce_cache_removal() returns trigger language plpgsql as $$
begin
    perform pg_notify('tollway_cache', json_build_object('removal', new.id)::text);
    return null;
end
$$;

create trigger announce after insert on cache_removals for each row execute function announce_cache_removal();

-- Whether a semantic hit served its question, as a client or a comparison says. Each call is judged once.
create table cache_feedback (
    id         bigint           primary key generated always as identity,
    at         timestamptz      not null default clock_timestamp(),
    tenant_id  text             not null,
    region     text             not null,    -- where thresholds are learned apart
    confidence numeric          not null check (confidence between 0 and 1),
    verdict    text             not null check (verdict in ('good', 'wrong')),
    source     text             not null check (source in ('client', 'shadow')),
    request_id text,                         -- the call that was answered
    unique (tenant_id, request_id)
);

create index cache_feedback_by_region on cache_feedback (tenant_id, region, id);
create index cache_feedback_by_time on cache_feedback (at);

create function announce_cache_feedback() returns trigger language plpgsql as $$
begin
    perform pg_notify('tollway_cache_feedback', '');
    return null;
end
$$;

create trigger announce after insert on cache_feedback
    for each statement execute function announce_cache_feedback();
