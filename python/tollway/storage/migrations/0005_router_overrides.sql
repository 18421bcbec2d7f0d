-- What people decided about targets while the gateway runs. It lies above what the configuration declares, changes
-- nothing of that, and is gone when its row is.

create table router_overrides (
    alias           text        not null default '',   -- the route whose share it is; empty: the target under every alias
    target          text        not null,              -- provider/model
    weight          bigint      check (weight between 0 and 1000000),
    drained         boolean     not null default false,
    opened_until_ms bigint,     -- Unix milliseconds; 9007199254740991: until it is closed by hand
    closed_at_ms    bigint,     -- Unix milliseconds
    note            text,       -- why, in the words of whoever decided
    updated_at      timestamptz not null default clock_timestamp(),
    updated_by      text        not null,              -- key:<id>, cli:<account>
    primary key (alias, target),
    constraint a_share_is_a_routes check ((alias <> '') = (weight is not null)),
    constraint the_rest_is_the_targets check (
        alias = '' or not drained and opened_until_ms is null and closed_at_ms is null
    )
);

create trigger stamp before update on router_overrides for each row execute function stamp_update();

-- The gateways ask for all of it: there are few, and the announcement need not say which.
create function announce_overrides() returns trigger language plpgsql as $$
begin
    perform pg_notify('tollway_router', '');
    return null;
end
$$;

create trigger announce after insert or update or delete or truncate on router_overrides
    for each statement execute function announce_overrides();
