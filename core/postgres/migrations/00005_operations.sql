-- +goose Up

-- What an operator set in place of the folder's limits; null is the folder's.
alter table hub.hospital
    add column concurrency integer check (concurrency between 1 and 1000),
    add column rate double precision check (rate between 0 and 100000); -- exchanges a second, 0 is unlimited

-- What a person should look at, told once when it begins and once when it is over.
create table hub.incident (
    id          bigint generated always as identity primary key,
    hospital    text not null,
    kind        text not null,
    detail      text not null,
    opened_at   timestamptz not null default clock_timestamp(),
    resolved_at timestamptz
);
create unique index incident_open on hub.incident (hospital, kind) where resolved_at is null;
create index incident_hospital on hub.incident (hospital, id);

-- +goose Down
drop table hub.incident;
alter table hub.hospital drop column concurrency, drop column rate;
