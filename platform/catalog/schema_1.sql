create schema catalog;
create table catalog.drug (
    hospital text not null, code text not null, name text not null, spec text not null default '', form text not null default '',
    unit text not null default '', dose_unit text not null default '', dose_per_unit text not null default '',
    price text not null default '', pharmacy text not null default '', insurance_code text not null default '',
    closed boolean not null default false,
    -- What the hospital adds; the HIS knows nothing of it.
    substance text not null default '', class text not null default '',
    version integer not null default 1, changed_at timestamptz not null default clock_timestamp(),
    primary key (hospital, code)
);
create table catalog.drug_version (
    hospital text not null, code text not null, version integer not null, price text not null, spec text not null, unit text not null,
    since timestamptz not null default clock_timestamp(),
    primary key (hospital, code, version)
);
create table catalog.diagnosis (
    hospital text not null, code text not null, name text not null, system text not null default '', closed boolean not null default false,
    primary key (hospital, code)
);
-- What is known of substances: a knowledge base's export, or the tiny sample. One
-- version holds; the older stay, because a prescription names the one that it was
-- checked with.
create table catalog.knowledge (
    version integer generated always as identity primary key,
    hospital text not null,                       -- '' is the sample, for those who imported none
    source text not null, imported_by text not null, imported_at timestamptz not null default clock_timestamp(), rules jsonb not null
);
create index on catalog.knowledge (hospital, version desc);
