create schema if not exists clinic;
create table if not exists clinic.migration (
    module text not null, file text not null, at timestamptz not null default clock_timestamp(),
    primary key (module, file)
);
create table if not exists clinic.inbox (module text primary key, cursor text not null default '');
create table if not exists clinic.job (
    name text primary key, times text not null, due timestamptz not null,
    began_at timestamptz, ended_at timestamptz, process text not null default '', problem text not null default '', runs bigint not null default 0
);
-- When each list of a HIS was last had, and why not since.
create table if not exists clinic.list (
    hospital text not null, list text not null, as_of timestamptz, entries integer not null default 0,
    tried_at timestamptz not null, problem text not null default '',
    primary key (hospital, list)
);
