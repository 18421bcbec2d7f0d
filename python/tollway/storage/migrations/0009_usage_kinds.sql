-- What a call cost by what was paid for, what it was labelled with, and who was asked on the way; and the sums of the
-- rows, by hour and by day, that dashboards and bills are made from.

alter table usage_logs
    add column cost_input          numeric,   -- US dollars, exact; their sum is `cost`; null: nothing of it
    add column cost_cached_input   numeric,
    add column cost_cache_write    numeric,
    add column cost_output         numeric,
    add column cost_reasoning      numeric,
    add column cost_audio          numeric,
    add column cost_image          numeric,
    add column cost_other          numeric,   -- per request
    add column audio_input_tokens  bigint not null default 0,   -- these are in prompt_tokens or completion_tokens too
    add column audio_output_tokens bigint not null default 0,
    add column image_input_tokens  bigint not null default 0,
    add column image_output_tokens bigint not null default 0,
    add column tags                text[],    -- name=value; null: none
    add column service_tier        text,
    add column tried               jsonb,     -- [{"target", "status", "result", "took_ms"}]; null: there was one call
    add column cache               text not null default 'none',   -- none, exact, semantic
    add column charged             text[];    -- purses; null: none

-- The sums of the rows of an hour or a day (UTC), by all that a bill may be split by. Shadows have rows of their own
-- (`role`), so whoever sums calls that somebody asked for leaves them out. '' in user_id is nobody in particular.
-- `key` is a digest of the columns after it: names may be longer than an index takes, and they are many.
create table usage_hourly (
    bucket              timestamptz not null,
    key                 bytea       not null,
    tenant_id           text        not null,
    api_key_id          text        not null,
    user_id             text        not null,
    model               text        not null,
    provider            text        not null,
    provider_model      text        not null,
    role                text        not null,
    calls               bigint      not null,
    failed              bigint      not null,   -- status is not ok
    unpriced            bigint      not null,   -- cost is null
    cache_hits          bigint      not null,   -- cache is not none
    prompt_tokens       numeric     not null,
    completion_tokens   numeric     not null,
    cached_tokens       numeric     not null,
    cache_write_tokens  numeric     not null,
    cache_write_1h_tokens numeric   not null,
    reasoning_tokens    numeric     not null,
    audio_input_tokens  numeric     not null,
    audio_output_tokens numeric     not null,
    image_input_tokens  numeric     not null,
    image_output_tokens numeric     not null,
    cost                numeric     not null,   -- US dollars, exact, of the rows that have a cost
    cost_input          numeric     not null,
    cost_cached_input   numeric     not null,
    cost_cache_write    numeric     not null,
    cost_output         numeric     not null,
    cost_reasoning      numeric     not null,
    cost_audio          numeric     not null,
    cost_image          numeric     not null,
    cost_other          numeric     not null,
    latency_ms          numeric     not null,   -- sums; a mean is a sum over a count
    first_token_ms      numeric     not null,
    first_tokens        bigint      not null,   -- rows that have a first_token_ms
    primary key (bucket, key)
) partition by range (bucket);

create table usage_daily (like usage_hourly including all) partition by range (bucket);

-- A row with several tags is in several of these sums: they are for one tag each, never for a total.
create table usage_tags_hourly (
    like usage_hourly,
    tag text not null,   -- name=value
    primary key (bucket, key)
) partition by range (bucket);

create index usage_hourly_by_tenant on usage_hourly (tenant_id, bucket);
create index usage_daily_by_tenant on usage_daily (tenant_id, bucket);
create index usage_tags_hourly_by_tag on usage_tags_hourly (tenant_id, tag, bucket);

-- They are updated with every batch of rows: in the room that is left on a page, no index has to learn of it.
create table usage_hourly_default partition of usage_hourly default with (fillfactor = 60);
create table usage_daily_default partition of usage_daily default with (fillfactor = 60);
create table usage_tags_hourly_default partition of usage_tags_hourly default with (fillfactor = 60);

-- The statement that adds the rows of `source` to a table of sums, which is also by `tag` where one is named. In the
-- order of the key, so that two shippers never wait for each other.
create function usage_summing(target text, unit text, source text, tag text default null) returns text
language sql stable as $$
    with names as (
        select array_remove(
            array['tenant_id', 'api_key_id', 'user_id', 'model', 'provider', 'provider_model', 'role', tag], null
        ) as of_key
    ), key as (
        select string_agg(quote_ident(name), ', ' order by place) as columns,
            string_agg(
                case name when 'user_id' then 'coalesce(user_id, '''')' else name end, ', ' order by place
            ) as grouped
        from names, unnest(of_key) with ordinality as each (name, place)
    ), sums as (
        select string_agg(name, ', ' order by name) as columns,
            string_agg(summed, ', ' order by name) as summed,
            string_agg(format('%1$I = kept.%1$I + excluded.%1$I', name), ', ' order by name) as added
        from (
            values
                ('calls', 'count(*)'),
                ('failed', 'count(*) filter (where status <> ''ok'')'),
                ('unpriced', 'count(*) filter (where cost is null)'),
                ('cache_hits', 'count(*) filter (where cache <> ''none'')'),
                ('first_tokens', 'count(first_token_ms)')
            union all
            select name, format('coalesce(sum(%I), 0)', name)
            from unnest(array[
                'prompt_tokens', 'completion_tokens', 'cached_tokens', 'cache_write_tokens', 'cache_write_1h_tokens',
                'reasoning_tokens', 'audio_input_tokens', 'audio_output_tokens', 'image_input_tokens',
                'image_output_tokens', 'cost', 'cost_input', 'cost_cached_input', 'cost_cache_write', 'cost_output',
                'cost_reasoning', 'cost_audio', 'cost_image', 'cost_other', 'latency_ms', 'first_token_ms'
            ]) as name
        ) as columns (name, summed)
    )
    select format(
        'insert into %1$I as kept (bucket, key, %2$s, %3$s) '
        'select bucket, substring(sha256(convert_to(row(%2$s)::text, ''UTF8'')) for 16) as key, %2$s, %3$s from ('
        'select date_trunc(%4$L, created_at, ''UTC''), %5$s, %6$s '
        'from %7$s group by date_trunc(%4$L, created_at, ''UTC''), %5$s'
        ') as summed (bucket, %2$s, %3$s) order by bucket, key '
        'on conflict (bucket, key) do update set %8$s',
        target, key.columns, sums.columns, unit, grouped, summed, source, added
    )
    from key, sums
$$;

-- A trigger, so that the sums are those of the rows whoever stores them: also an older version, during an upgrade.
create function sum_usage() returns trigger language plpgsql as $$
begin
    execute usage_summing('usage_hourly', 'hour', 'arrived');
    execute usage_summing('usage_daily', 'day', 'arrived');
    if exists (select from arrived where tags is not null) then
        execute usage_summing('usage_tags_hourly', 'hour', 'arrived cross join unnest(tags) as tagged (tag)', 'tag');
    end if;
    return null;
end
$$;

create trigger sum_up after insert on usage_logs
    referencing new table as arrived
    for each statement execute function sum_usage();

-- The days of which there were rows before there were sums. Each is summed by `sum_usage_of`, which takes it out here.
create table usage_unsummed (
    day date primary key
);

insert into usage_unsummed (day)
select to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') from pg_inherits
where inhparent = 'usage_logs'::regclass and inhrelid::regclass::text ~ '^usage_logs_[0-9]{8}$'
union select (created_at at time zone 'UTC')::date from usage_logs_default;

-- Makes the sums of a day anew from its rows. Whoever stores rows of that day waits meanwhile: rows are in journals then,
-- which is what journals are for, and of days that are over hardly any come.
create function sum_usage_of(one date) returns void language plpgsql as $$
declare
    since timestamptz := one::timestamp at time zone 'UTC';
    rows_of text := format(
        '(select * from usage_logs where created_at >= %L and created_at < %L) as logged',
        since, since + interval '1 day'
    );
    own regclass;
begin
    lock table only usage_logs_default in share row exclusive mode;   -- also whoever would make a partition out of it
    own := to_regclass('usage_logs_' || to_char(one, 'YYYYMMDD'));
    if own is not null then
        execute format('lock table only %s in share row exclusive mode', own);
    end if;
    delete from usage_hourly where bucket >= since and bucket < since + interval '1 day';
    delete from usage_daily where bucket = since;
    delete from usage_tags_hourly where bucket >= since and bucket < since + interval '1 day';
    execute usage_summing('usage_hourly', 'hour', rows_of);
    execute usage_summing('usage_daily', 'day', rows_of);
    execute usage_summing('usage_tags_hourly', 'hour', rows_of || ' cross join unnest(tags) as tagged (tag)', 'tag');
    delete from usage_unsummed where day = one;
end
$$;
