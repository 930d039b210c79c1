-- +goose Up

-- Messages that are told again, many at a time: frozen when it is made, worked on
-- hospital by hospital.
create table hub.replay (
    id          bigint generated always as identity primary key,
    state       text not null check (state in ('listing', 'proposed', 'running', 'paused', 'done', 'cancelled')),
    filter      jsonb not null,
    revision    text not null check (revision in ('', 'original', 'newest')), -- which says it again; '' is as fits
    rate        double precision not null, -- messages a second at each hospital
    concurrency integer not null,          -- of a hospital on their way at once
    stop_after  integer not null,          -- parked again in a row, as the same class
    note        text not null default '',
    money       boolean not null default false, -- takes a second person
    created_by  text not null,
    created_at  timestamptz not null default clock_timestamp(),
    approved_by text not null default '',
    paused_by   text not null default '',
    problem     text not null default '',
    ended_at    timestamptz
);
create index replay_open on hub.replay (id) where state in ('listing', 'proposed', 'running', 'paused');

create table hub.replay_part (
    replay    bigint not null references hub.replay on delete cascade,
    hospital  text not null,
    shard     smallint not null,
    items     integer not null default 0,
    waiting   integer not null default 0,
    on_way    integer not null default 0,
    delivered integer not null default 0,
    parked    integer not null default 0,
    cancelled integer not null default 0,
    skipped   integer not null default 0,
    refused   integer not null default 0,
    failing   integer not null default 0, -- parked again in a row
    cause     text not null default '',   -- the class of those
    stopped   text not null default '',   -- why it stopped by itself
    ended_at  timestamptz,
    primary key (replay, hospital)
);
create index replay_part_live on hub.replay_part (shard) where ended_at is null or on_way > 0;

create table hub.replay_item (
    replay      bigint not null references hub.replay on delete cascade,
    message     bigint not null,
    hospital    text not null,
    kind        text not null,
    place       bigint not null, -- in its lane
    state       text not null default 'waiting' check (state in ('waiting', 'released', 'delivered', 'parked', 'cancelled', 'skipped', 'refused')),
    why         text not null default '',
    goes        bigint, -- the message that is on its way: itself, or the one in its place
    released_at timestamptz,
    known_at    timestamptz,
    primary key (replay, message)
);
create index replay_item_waiting on hub.replay_item (replay, hospital, place, message) where state = 'waiting';
create index replay_item_on_way on hub.replay_item (replay, hospital) where state = 'released';

-- The revision that says a message which is not begun, in place of the newest. A
-- program before this one does not look at it and takes the newest.
alter table hub.queue add column pin integer;

-- +goose Down
alter table hub.queue drop column pin;
drop table hub.replay_item, hub.replay_part, hub.replay;
