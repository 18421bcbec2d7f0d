-- What a tenant is billed for a month (UTC). A draft is computed and stored nowhere; a closed statement is here, and
-- nothing of it ever changes. Calls that were stored after their month was closed are told by arithmetic: what the
-- sums of that month say now, without what closed statements have billed of it. So no row needs a mark of its arrival,
-- and none can fall between a closing and an insert that overlap.

create table billing_statements (
    tenant_id text        not null,
    month     date        not null check (extract(day from month) = 1),
    total     numeric     not null,   -- US dollars, exact: the sum of the items
    hash      bytea       not null check (octet_length(hash) = 32),   -- SHA-256 over the items, see statements.py
    closed_at timestamptz not null default clock_timestamp(),
    closed_by text        not null,   -- key:<id>, cli:<account>
    primary key (tenant_id, month)
);

create index billing_statements_by_month on billing_statements (month, tenant_id);

create table billing_items (
    tenant_id      text    not null,
    month          date    not null,   -- of the statement
    line           integer not null check (line > 0),
    kind           text    not null check (kind in ('usage', 'late', 'adjustment')),
    of_month       date    not null,   -- when the calls were made; an adjustment's is that of the statement
    model          text,               -- the alias; null: an adjustment
    provider       text,
    provider_model text,
    what           text,               -- input, cached_input, …, requests, unpriced
    quantity       numeric,            -- tokens, or calls
    amount         numeric not null,   -- US dollars, exact
    adjustment_id  text,
    reason         text,
    primary key (tenant_id, month, line),
    foreign key (tenant_id, month) references billing_statements deferrable initially deferred,
    constraint an_adjustment_has_a_reason check ((kind = 'adjustment') = (reason is not null))
);

create table billing_adjustments (
    id         text        primary key default gen_random_uuid()::text,
    tenant_id  text        not null,
    month      date        not null check (extract(day from month) = 1),   -- of the statement that it goes on
    amount     numeric     not null check (amount <> 0 and scale(amount) <= 12),   -- US dollars; below 0: a credit
    reason     text        not null check (reason <> ''),
    created_at timestamptz not null default clock_timestamp(),
    created_by text        not null
);

create index billing_adjustments_by_statement on billing_adjustments (tenant_id, month, created_at, id);
create index billing_adjustments_by_creation on billing_adjustments (created_at, id);

create function keep_what_was_billed() returns trigger language plpgsql as $$
begin
    raise exception 'what was billed stays as it is: an adjustment of a later statement puts it right';
end
$$;

create trigger keep before update or delete on billing_statements
    for each row execute function keep_what_was_billed();
create trigger keep before update or delete on billing_items
    for each row execute function keep_what_was_billed();
create trigger keep before update or delete on billing_adjustments
    for each row execute function keep_what_was_billed();
create trigger keep_all before truncate on billing_statements
    for each statement execute function keep_what_was_billed();
create trigger keep_all before truncate on billing_items
    for each statement execute function keep_what_was_billed();
create trigger keep_all before truncate on billing_adjustments
    for each statement execute function keep_what_was_billed();

-- A statement's items are stored before it, in its transaction; once it is there, nothing is added.
create function keep_closed_statement() returns trigger language plpgsql as $$
begin
    if exists (select from billing_statements where tenant_id = new.tenant_id and month = new.month) then
        raise exception 'the statement is closed';
    end if;
    return new;
end
$$;

create trigger keep_closed before insert on billing_items
    for each row execute function keep_closed_statement();
create trigger keep_closed before insert on billing_adjustments
    for each row execute function keep_closed_statement();
