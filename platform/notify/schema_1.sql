create schema notify;
-- A hospital's own words; what it has none for is said in ours.
create table notify.template (
    hospital   text not null,
    event      text not null,
    language   text not null,
    channel    text not null,
    title      text not null,
    text       text not null,
    account    bigint not null,                 -- who wrote it
    updated_at timestamptz not null default clock_timestamp(),
    primary key (hospital, event, language, channel)
);
create table notify.setting (
    account    bigint primary key,
    language   text not null,
    quiet_from text not null,                   -- hh:mm; the same as quiet_to: never
    quiet_to   text not null
);
-- What an account does not want; everything else is wanted.
create table notify.unwanted (
    account    bigint not null,
    kind       text not null,
    channel    text not null,
    primary key (account, kind, channel)
);
create table notify.inbox (
    id         bigint generated always as identity primary key,
    account    bigint not null,
    event      text not null,
    hospital   text not null,
    no         text not null,
    title      text not null,
    text       text not null,
    at         timestamptz not null default clock_timestamp(),
    read_at    timestamptz
);
create index on notify.inbox (account, id);
create index inbox_unread on notify.inbox (account) where read_at is null;
-- What is to be sent, saved with the fact that it tells of.
create table notify.outbox (
    id         bigint generated always as identity primary key,
    account    bigint not null,
    channel    text not null,
    event      text not null,
    hospital   text not null,
    urgent     boolean not null,                -- also in quiet hours
    title      text not null,
    text       text not null,
    state      text not null default 'waiting' check (state in ('waiting', 'sent', 'dead')),
    attempts   integer not null default 0,
    due        timestamptz not null default clock_timestamp(),
    problem    text not null default '',
    created_at timestamptz not null default clock_timestamp(),
    ended_at   timestamptz
);
create index outbox_due on notify.outbox (due) where state = 'waiting';
create index outbox_dead on notify.outbox (id) where state = 'dead';
create index outbox_ended on notify.outbox (ended_at) where state <> 'waiting';
