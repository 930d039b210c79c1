create schema directory;
create table directory.department (
    hospital text not null, code text not null, name text not null, parent text not null default '', closed boolean not null default false,
    changed_at timestamptz not null default clock_timestamp(),
    primary key (hospital, code)
);
create table directory.doctor (
    hospital text not null, code text not null, name text not null, title text not null default '', closed boolean not null default false,
    -- What the hospital writes about the doctor; the HIS knows nothing of it.
    introduction text not null default '', good_at text not null default '',
    version integer not null default 1, changed_at timestamptz not null default clock_timestamp(),
    primary key (hospital, code)
);
create table directory.doctor_department (
    hospital text not null, doctor text not null, department text not null,
    primary key (hospital, doctor, department),
    foreign key (hospital, doctor) references directory.doctor
);
create index on directory.doctor_department (hospital, department);
