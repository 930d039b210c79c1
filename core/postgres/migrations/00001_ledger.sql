-- +goose Up

create table hub.hospital (
    id              text primary key,
    name            text not null,
    active_revision integer not null,
    shard           smallint not null,
    paused_at       timestamptz,
    paused_by       text,
    paused_why      text
);

create table hub.revision (
    hospital   text not null references hub.hospital,
    number     integer not null,
    archive    bytea not null,
    digest     text not null,
    applied_at timestamptz not null default clock_timestamp(),
    applied_by text not null,
    note       text not null default '',
    primary key (hospital, number)
);

-- Ids are given while the lane is locked, so inside a lane they follow the order of commits.
create sequence hub.message_id;

-- One row for ever per message: it is what a repeated key is compared with.
-- Settling a message changes no indexed column, so it stays a cheap in-page
-- update; that is why the HIS's numbers have a table of their own.
create table hub.message (
    id            bigint primary key,
    hospital      text not null,
    kind          text not null,
    key           text not null,
    lane          text not null,
    place         bigint not null, -- order in the lane: its id, or the place of what it supersedes
    state         text not null default 'queued' check (state in ('queued', 'parked', 'delivered', 'cancelled')),
    class         text,
    reason        text,
    words         bytea,           -- sealed: the HIS's words may name a patient
    show_patient  boolean not null default false,
    refund_now    boolean not null default false,
    receipt       jsonb,
    digest        bytea not null,  -- keyed hash of the canonical JSON
    revision      integer not null default 0,
    test          boolean not null default false,
    submission    text,
    trace         text,
    accepted_at   timestamptz not null,
    decided_at    timestamptz,
    attempts      integer not null default 0,
    supersedes    bigint,
    superseded_by bigint
) with (fillfactor = 85);

-- By key first, so that it also serves the search for a key.
create unique index message_key on hub.message (key, hospital, kind) where superseded_by is null;
create index message_superseded on hub.message (key) where superseded_by is not null;
create index message_hospital on hub.message (hospital, id);
create index message_lane on hub.message (lane, hospital, id);

create table hub.his_no (
    his_no   text not null,
    hospital text not null,
    message  bigint not null,
    primary key (his_no, hospital, message)
);

-- Partitioned tables get their partitions, by month, from maintain.go.
create table hub.body (
    message     bigint not null,
    accepted_at timestamptz not null,
    sealed      bytea not null,
    primary key (message, accepted_at)
) partition by range (accepted_at);

-- Only what is not yet delivered. Claims and marks change no indexed column and
-- pages keep free space, so that they stay in-page updates.
create table hub.queue (
    message       bigint primary key,
    hospital      text not null,
    kind          text not null,
    key           text not null,
    lane          text not null,
    place         bigint not null,
    head          boolean not null,
    state         text not null default 'queued' check (state in ('queued', 'parked')),
    pass          boolean not null default false, -- parked, and its lane goes on
    due           timestamptz not null,
    accepted_at   timestamptz not null,
    fence         bigint not null default 0,
    process       text,
    lease_us      bigint,
    deadline_us   bigint,
    lease_until   timestamptz,
    takeover_at   timestamptz,
    sent_at       timestamptz,
    cancel_wanted boolean not null default false,
    revision      integer not null default 0,
    attempts      integer not null default 0,
    class         text,
    reason        text,
    progress      jsonb,
    secret        bytea, -- sealed: what steps captured and the HIS said
    parked_at     timestamptz
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create unique index queue_lane on hub.queue (hospital, lane, place);
-- Two heads in one lane cannot even be written.
create unique index queue_head on hub.queue (hospital, lane) where head;
create index queue_due on hub.queue (hospital, due) where head and state = 'queued';
create index queue_parked on hub.queue (hospital, message) where state = 'parked';

create table hub.attempt (
    message     bigint not null,
    number      integer not null,
    fence       bigint not null,
    at          timestamptz not null default clock_timestamp(),
    late        boolean not null default false,
    phase       text not null,
    step        text not null,
    connector   text not null,
    operation   text not null,
    outcome     text not null,
    rule        text not null,
    class       text not null,
    because     text not null,
    words       bytea,
    duration_us bigint not null
) partition by range (at);
create index attempt_message on hub.attempt (message);

create table hub.exchange (
    message bigint not null,
    number  integer not null,
    late    boolean not null default false,
    at      timestamptz not null default clock_timestamp(),
    request bytea,
    answer  bytea
) partition by range (at);
create index exchange_message on hub.exchange (message);

create sequence hub.event_id cache 1;
create table hub.event (
    xid        xid8 not null default pg_current_xact_id(),
    id         bigint not null default nextval('hub.event_id'),
    at         timestamptz not null default clock_timestamp(),
    hospital   text not null,
    message    bigint not null,
    kind       text not null,
    key        text not null,
    type       text not null,
    data       jsonb not null,
    words      bytea
) partition by range (at);
create index event_order on hub.event (xid, id);

create table hub.process (
    id         text primary key,
    seen_until timestamptz not null
);

create table hub.shard (
    number  smallint primary key,
    process text,
    until   timestamptz
);
insert into hub.shard (number) select generate_series(0, 15);

create table hub.data_key (
    id         integer generated always as identity primary key,
    purpose    text not null check (purpose in ('seal', 'digest')),
    master     text not null, -- which master key wrapped it
    wrapped    bytea not null,
    created_at timestamptz not null default clock_timestamp()
);
create unique index data_key_digest on hub.data_key (purpose) where purpose = 'digest';

-- What we told, or will tell, of money: a night compares it with the HIS's ledger.
create table hub.ledger_entry (
    message    bigint primary key,
    hospital   text not null,
    at         timestamptz not null, -- when the channel says the money moved
    type       text not null check (type in ('payment', 'refund')),
    number     text not null,
    channel    text not null,
    channel_no text not null,
    amount     bigint not null
);
create index ledger_entry_day on hub.ledger_entry (hospital, at);

-- +goose Down
drop schema hub cascade;
