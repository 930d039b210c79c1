create schema regulator;
-- Which regulator a hospital's facts are told to; it is a hospital of the hub itself.
create table regulator.setting (
    hospital   text primary key,
    regulator  text not null,
    account    bigint not null,                 -- who said so
    updated_at timestamptz not null default clock_timestamp()
);
-- A fact that a regulator must hear, and what came of telling it.
create table regulator.upload (
    hospital   text not null,
    kind       text not null,
    key        text not null,
    regulator  text not null,
    no         text not null,                   -- of the prescription
    whose      bytea,                           -- sealed: what later facts of it must name
    state      text not null check (state in ('waiting', 'taken', 'refused', 'cancelled', 'untold')),
    receipt    text not null default '',        -- the regulator's number
    reason     text not null default '',
    at         timestamptz not null default clock_timestamp(),
    heard_at   timestamptz,
    primary key (hospital, kind, key)
);
create index on regulator.upload (hospital, at);
create index on regulator.upload (regulator, kind, key);
