-- Ceilings of money, and the leases by which hosts hold parts of them. Money in these tables is whole pico-dollars.
--
-- A purse is one budget for one subject in one period, named `<budget>|<period start>|<subject>`; rows of usage name
-- the purses that they were paid from (`charged`). Whoever changes what is leased or spent of a purse holds the lock of
-- its row first, purses in the order of their names and after tenants, so that nobody waits in a circle. What is free:
--
--     amount - spent - the sum over hosts of what their leases hold (budget_held)

create table budgets (
    id         text        primary key default gen_random_uuid()::text,
    tenant_id  text        not null references tenants (id),
    name       text        not null,
    amount     numeric     not null check (amount between 1 and 9000000000000000000 and amount = trunc(amount)),
    period     text        not null check (period in ('day', 'week', 'month', 'total')),
    rolling    boolean     not null default false,
    warn_at    integer[]   not null default '{}',   -- per cents
    key_id     text,
    user_id    text,
    model      text,       -- the alias that clients name
    tag        text,       -- name=value
    per        text[]      not null default '{}' check (per <@ array['key', 'model', 'user']),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    unique (tenant_id, name)
);

create index budgets_by_creation on budgets (created_at, id);

create trigger stamp before update on budgets for each row execute function stamp_update();

-- A tenant's budgets come with its keys, so whoever remembers a key of it must hear of a change.
create function announce_budget() returns trigger language plpgsql as $$
declare
    owner text := coalesce(new.tenant_id, old.tenant_id);
begin
    update tenants set updated_at = clock_timestamp() where id = owner;
    perform pg_notify('tollway_keys', json_build_object('tenant_id', owner)::text);
    return null;
end
$$;

create trigger announce after insert or update or delete on budgets
    for each row execute function announce_budget();

-- The tenant's own monthly budget is judged by with its keys now, too.
drop trigger stamp on tenants;
create trigger stamp before update of name, is_active, rate_limit, monthly_budget, allowed_models, guardrails on tenants
    for each row execute function stamp_update();
drop trigger announce on tenants;
create trigger announce
    after delete or update of name, is_active, rate_limit, monthly_budget, allowed_models, guardrails on tenants
    for each row execute function announce_tenant();

-- A period of a budget, once what had been spent in it is known.
create table budget_terms (
    budget_id      text        not null,
    period_start_s bigint      not null,    -- Unix time; 0: it has no beginning
    known_since    timestamptz not null default clock_timestamp(),
    primary key (budget_id, period_start_s)
);

create table budget_purses (
    purse          text        primary key,
    budget_id      text        not null,    -- file:<name>, tenant:<id>, or an id of `budgets`
    period_start_s bigint      not null,
    subject        text        not null,
    name           text        not null,    -- the budget's
    tenant_id      text,
    amount         numeric     not null,
    period         text        not null,
    window_h       integer,                 -- rolling: how many hours it looks back
    warn_at        integer[]   not null,
    spent          numeric     not null default 0,   -- always the sum of its rows of budget_spend
    warned         integer     not null default 0,   -- the highest of warn_at that somebody was told of
    known_since    timestamptz not null default clock_timestamp()
);

create index budget_purses_by_budget on budget_purses (budget_id, period_start_s, spent desc, purse);

create table budget_spend (
    purse text        not null references budget_purses (purse) on delete cascade,
    hour  timestamptz not null,
    cost  numeric     not null,
    primary key (purse, hour)
);

create table budget_leases (
    purse      text        not null references budget_purses (purse) on delete cascade,
    host       text        not null,
    base       numeric     not null,    -- a host that forgets counts from 0 again: what it tells is above this
    granted    numeric     not null,    -- in all, without what was given back
    spent      numeric     not null,    -- in all, as the host has told
    shipped    numeric     not null,    -- in all, as rows have come
    turn       bigint      not null,    -- of the host's questions: what it asked before changes nothing
    expires_at timestamptz not null,
    primary key (purse, host)
);

create index budget_leases_by_expiry on budget_leases (expires_at);

-- What of a purse is spent in its period. An hour of which a rolling period holds a part counts whole.
create function budget_spent(purse budget_purses) returns numeric language sql stable as $$
    select case
        when $1.window_h is null then $1.spent
        else coalesce((
            select sum(cost) from budget_spend as spend
            where spend.purse = $1.purse
              and spend.hour > statement_timestamp() - make_interval(hours => $1.window_h + 1)
        ), 0)
    end
$$;

-- What nobody else may have because of a lease: all that is granted, while it lives, and after it what the host has
-- told as spent; in both cases without what its rows have brought to `spent` of the purse already.
create function budget_held(lease budget_leases) returns numeric language sql stable as $$
    select greatest(
        case when $1.expires_at > statement_timestamp() then $1.granted else 0 end, $1.spent, $1.shipped
    ) - $1.shipped
$$;

-- A threshold was passed: once a period and threshold, whichever hosts spend. `told_at` is when a log said it.
create table budget_events (
    id        bigint      primary key generated always as identity,
    at        timestamptz not null default clock_timestamp(),
    budget_id text        not null,
    purse     text        not null,
    subject   text        not null,
    name      text        not null,
    tenant_id text,
    period    text        not null,
    per_cent  integer     not null,
    amount    numeric     not null,
    spent     numeric     not null,
    told_at   timestamptz
);

create index budget_events_untold on budget_events (id) where told_at is null;
create index budget_events_by_time on budget_events (at);

create function announce_budget_event() returns trigger language plpgsql as $$
begin
    perform pg_notify(
        'tollway_budgets',
        json_build_object('event', new.id, 'budget_id', new.budget_id, 'per_cent', new.per_cent)::text
    );
    return null;
end
$$;

create trigger announce after insert on budget_events for each row execute function announce_budget_event();

-- Notes which thresholds these purses, whose locks are held, have passed since somebody looked.
create function warn_of_budgets(names text[]) returns void language sql as $$
    with standing as (
        select purses.*, budget_spent(purses) as spent_now,
               coalesce((
                   select max(per_cent) from unnest(warn_at) as per_cent
                   where budget_spent(purses) * 100 >= amount * per_cent
               ), 0) as passed
        from budget_purses as purses
        where purse = any (names) and warn_at <> '{}'
    ), noted as (
        update budget_purses set warned = passed from standing
        where budget_purses.purse = standing.purse and budget_purses.warned <> passed
    )
    insert into budget_events (budget_id, purse, subject, name, tenant_id, period, per_cent, amount, spent)
    select budget_id, purse, subject, name, tenant_id, period, per_cent, amount, spent_now
    from standing cross join unnest(warn_at) as per_cent
    where per_cent > warned and per_cent <= passed
    order by purse, per_cent
$$;

-- The rows that are new are what is spent. A trigger, so that this is true whoever stores them and however often. The
-- setting tollway.host says whose journal they come from: that host's lease holds so much less.
create function charge_budgets() returns trigger language plpgsql as $$
declare
    purses text[];
    hours  timestamptz[];
    costs  numeric[];
    names  text[];
begin
    -- A row names each of its purses once.
    select array_agg(purse), array_agg(hour), array_agg(cost) into purses, hours, costs
    from (
        select purse, date_trunc('hour', created_at, 'UTC') as hour, sum(cost) * 1000000000000 as cost
        from arrived cross join unnest(charged) as paid (purse)
        where cost <> 0
        group by 1, 2
    ) as summed;
    if purses is null then
        return null;
    end if;
    select array_agg(purse) into names from (
        select purse from budget_purses where purse = any (purses) order by purse for no key update
    ) as locked;
    if names is null then   -- of periods that are long over
        return null;
    end if;
    insert into budget_spend as kept (purse, hour, cost)
    select purse, hour, cost from unnest(purses, hours, costs) as summed (purse, hour, cost)
    where purse = any (names)
    on conflict (purse, hour) do update set cost = kept.cost + excluded.cost;
    with added as (
        select purse, sum(cost) as cost from unnest(purses, costs) as summed (purse, cost)
        where purse = any (names) group by purse
    ), shipped as (
        update budget_leases as lease set shipped = lease.shipped + added.cost from added
        where lease.purse = added.purse and lease.host = current_setting('tollway.host', true)
    )
    update budget_purses as purse set spent = purse.spent + added.cost from added where purse.purse = added.purse;
    perform warn_of_budgets(names);
    return null;
end
$$;

-- Its name is the last of the table's triggers: locks of purses are held no longer than they must be.
create trigger take_from_purses after insert on usage_logs
    referencing new table as arrived
    for each statement execute function charge_budgets();
