-- Anthropic charges another price for what stays in its cache for an hour. Part of cache_write_tokens.

alter table usage_logs add column cache_write_1h_tokens bigint not null default 0;
