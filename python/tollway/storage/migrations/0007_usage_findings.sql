-- What the guardrails found in a call: [{"direction", "check", "kind", "action", "count"}], never a value.

alter table usage_logs add column findings jsonb;   -- null: nothing
