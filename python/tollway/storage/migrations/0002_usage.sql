-- One row for every call that reached a provider. A partition for each day (UTC), made ahead of time, so that a
-- query for a month reads a month and an old day is dropped at once; what no partition takes goes to the default one,
-- so that no row is ever refused. For the same reason there are no checks and no foreign keys: tenants declared in
-- the configuration file are not in the database, and a bill must outlive the key it was made with.

create table usage_logs (
    id                 text        not null,
    request_id         text        not null,
    created_at         timestamptz not null,
    tenant_id          text        not null,
    api_key_id         text        not null,
    user_id            text,
    model              text        not null,   -- the alias that the client named
    provider           text        not null,
    provider_model     text        not null,
    prompt_tokens      bigint      not null,
    completion_tokens  bigint      not null,
    cached_tokens      bigint      not null,
    cache_write_tokens bigint      not null,
    reasoning_tokens   bigint      not null,
    cost               numeric,                -- US dollars, exact; null: the model has no price
    price_version      text,
    usage_source       text        not null,   -- told, counted, estimated
    status             text        not null,   -- ok, error, timeout, client_gone, cut
    http_status        integer     not null,
    stream             boolean     not null,
    latency_ms         bigint      not null,
    first_token_ms     bigint,
    attempts           integer     not null,
    primary key (id, created_at)               -- a replayed row is the same in both: it is stored once
) partition by range (created_at);

create index usage_logs_by_tenant on usage_logs (tenant_id, created_at, id);
create index usage_logs_by_time on usage_logs (created_at, id);

create table usage_logs_default partition of usage_logs default;
