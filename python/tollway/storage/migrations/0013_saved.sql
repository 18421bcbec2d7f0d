-- What an answer from a cache saved, and sums that tell such answers from those that were paid for: no bill has them, and
-- no account of a provider.

alter table usage_logs
    add column saved numeric;   -- US dollars, exact: what the answer cost when it was given first; null: no hit, or not known

alter table usage_hourly
    add column cache text not null default 'none',   -- part of the key
    add column saved numeric not null default 0;
alter table usage_daily
    add column cache text not null default 'none',
    add column saved numeric not null default 0;
alter table usage_tags_hourly
    add column cache text not null default 'none',
    add column saved numeric not null default 0;

-- Sums that were made before have keys without `cache`: theirs are not added to any more, which changes no total.

-- As in 0009, with `cache` and `saved`: the statement that adds the rows of `source` to a table of sums, which is also by
-- `tag` where one is named. In the order of the key, so that two shippers never wait for each other.
create or replace function usage_summing(target text, unit text, source text, tag text default null) returns text
language sql stable as $$
    with names as (
        select array_remove(
            array['tenant_id', 'api_key_id', 'user_id', 'model', 'provider', 'provider_model', 'role', 'cache', tag],
            null
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
                'cost_reasoning', 'cost_audio', 'cost_image', 'cost_other', 'saved', 'latency_ms', 'first_token_ms'
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
