-- +goose Up

-- What HIS told us or asked of us. Ids are of the same sequence as messages, so
-- that bodies, exchanges and ledger entries of both share their tables.
create table hub.inbound (
    id         bigint primary key,
    hospital   text not null,
    kind       text not null,
    key        text not null,
    state      text not null check (state in ('open', 'done', 'refused')),
    message    text not null default '', -- our words to the HIS
    answer     jsonb,
    digest     bytea not null,           -- keyed hash of the canonical JSON
    times      integer not null default 1,
    conflicts  integer not null default 0,
    arrived_at timestamptz not null default clock_timestamp(),
    decided_at timestamptz
);
-- The same again is found here; it is what makes two of them one.
create unique index inbound_key on hub.inbound (hospital, kind, key);
create index inbound_hospital on hub.inbound (hospital, id);

-- +goose Down
drop table hub.inbound;
