-- +goose Up

alter table hub.incident
    add column chinese text not null default '', -- detail, in Chinese
    add column looked_by text,                   -- who said that they look at it
    add column looked_at timestamptz,
    add column looked_note text not null default '';

-- That a route is to be told that an incident began or is over. Made in the transaction
-- that opens or resolves it; told_at is set once the route has taken it.
create table hub.alert (
    id         bigint generated always as identity primary key,
    incident   bigint not null references hub.incident (id),
    transition text not null check (transition in ('opened', 'resolved')),
    route      text not null,
    made_at    timestamptz not null default clock_timestamp(),
    letter     text, -- with which it goes out, and goes out again until it is taken
    told_at    timestamptz,
    unique (incident, transition, route)
);
create index alert_waiting on hub.alert (route, id) where told_at is null;
create index alert_made on hub.alert (made_at);

-- How a route stands. One process at a time tells it something.
create table hub.alert_route (
    name        text primary key,
    next_at     timestamptz not null default clock_timestamp(), -- its rate, or the wait after a failure
    lease_until timestamptz,
    fence       bigint not null default 0,
    failures    integer not null default 0, -- since it took something
    problem     text not null default '',   -- the last failure
    told_at     timestamptz                 -- when it took something last
);

-- +goose Down
drop table hub.alert_route;
drop table hub.alert;
alter table hub.incident drop column chinese, drop column looked_by, drop column looked_at, drop column looked_note;
