-- What cached answers are sealed by, where they lie in Redis or on a disk: made once, here, and the same on every host.
-- Each tenant's key is derived from it. A random UUID has 122 random bits.
create table cache_secret (
    is_only boolean primary key default true check (is_only),
    secret  bytea   not null check (octet_length(secret) = 32)
);

insert into cache_secret (secret)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
