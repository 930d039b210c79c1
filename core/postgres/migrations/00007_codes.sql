-- +goose Up

-- Codes that a table of the folder did not have, or had only by its default. Codes
-- are not personal.
create table hub.unmapped_code (
    hospital   text not null,
    code_table text not null,
    direction  text not null check (direction in ('out', 'in')),
    code       text not null,
    text       text not null default '', -- what messages call it
    unmapped   bigint not null default 0, -- uses that failed
    defaulted  bigint not null default 0, -- uses in which the default stood in
    first_seen timestamptz not null default clock_timestamp(),
    last_seen  timestamptz not null default clock_timestamp(),
    message    bigint, -- the latest message with it; null: only questions and what came in
    dismissed_at   timestamptz,
    dismissed_by   text,
    dismissed_note text,
    primary key (hospital, code_table, direction, code)
);

-- +goose Down
drop table hub.unmapped_code;
