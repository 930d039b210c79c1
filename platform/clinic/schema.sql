create schema if not exists clinic;
create table if not exists clinic.migration (
    module text not null, file text not null, at timestamptz not null default clock_timestamp(),
    primary key (module, file)
);
create table if not exists clinic.inbox (module text primary key, cursor text not null default '');
