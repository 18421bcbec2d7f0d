-- What a call was for: answer, hedge (a second try at once, whose answer came too late), shadow (a copy, for comparison).

alter table usage_logs add column role text not null default 'answer';
