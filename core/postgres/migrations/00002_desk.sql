-- +goose Up

-- Every act of a person on a message or hospital.
create table hub.decision (
    id       bigint generated always as identity primary key,
    at       timestamptz not null default clock_timestamp(),
    hospital text not null,
    message  bigint,
    who      text not null,
    verb     text not null,
    note     text not null default '',
    data     jsonb
);
create index decision_message on hub.decision (message) where message is not null;
create index decision_hospital on hub.decision (hospital, id);

-- Corrections of money that wait for a second person.
create table hub.proposal (
    id          bigint generated always as identity primary key,
    message     bigint not null,
    body        bytea not null, -- sealed
    note        text not null default '',
    proposed_by text not null,
    proposed_at timestamptz not null default clock_timestamp(),
    decided_by  text,
    decided_at  timestamptz,
    approved    boolean
);
create unique index proposal_open on hub.proposal (message) where decided_at is null;

create table hub.api_key (
    id           bigint generated always as identity primary key,
    prefix       text not null unique,
    hash         bytea not null,
    name         text not null,
    role         text not null,
    hospitals    text[], -- null is all of them
    created_at   timestamptz not null default clock_timestamp(),
    revoked_at   timestamptz,
    last_used_at timestamptz
);

create table hub.webhook (
    id            bigint generated always as identity primary key,
    url           text not null,
    secret        bytea not null, -- sealed
    hospitals     text[],         -- null is all of them
    types         text[],         -- null is all of them
    cursor        text not null default '',
    failures      integer not null default 0,
    next_at       timestamptz not null default clock_timestamp(),
    disabled_at   timestamptz,
    disabled_why  text not null default '',
    created_at    timestamptz not null default clock_timestamp(),
    lease_until   timestamptz
);

create table hub.cursor (
    name  text primary key,
    value text not null
);

create table hub.idempotency (
    api_key        bigint not null,
    idem_key       text not null,
    request_digest bytea not null,
    status         integer, -- null while the first request is at work
    answer         bytea,   -- sealed
    expires        timestamptz not null,
    primary key (api_key, idem_key)
);
create index idempotency_expires on hub.idempotency (expires);

-- +goose Down
drop table hub.idempotency, hub.cursor, hub.webhook, hub.api_key, hub.proposal, hub.decision;
