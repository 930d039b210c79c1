-- +goose Up

create table hub.night (
    id       bigint generated always as identity primary key,
    hospital text not null,
    day      date not null,
    run      integer not null,
    state    text not null check (state in ('running', 'done', 'failed')),
    started  timestamptz not null default clock_timestamp(),
    ended    timestamptz,
    who      text not null,
    problem  text not null default '',
    counts   jsonb,
    ours     jsonb,
    theirs   jsonb,
    unique (hospital, day, run)
);

create table hub.difference (
    id     bigint generated always as identity primary key,
    night  bigint not null references hub.night on delete cascade,
    class  text not null,
    type   text not null,
    number text not null,
    ours   jsonb,
    theirs jsonb
);
create index difference_night on hub.difference (night, id);

-- +goose Down
drop table hub.difference, hub.night;
