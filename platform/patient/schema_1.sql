create schema patient;
create table patient.patient (
    no          text primary key,
    account     bigint not null,              -- whose family it is
    relation    text not null,
    details     bytea not null,               -- sealed: name, document, birth date, telephone, guardian
    document    bytea not null,               -- index of kind and number of the document
    phone       bytea not null,               -- index
    name        bytea not null,               -- index
    verified_at timestamptz,                  -- name and number belong together
    removed_at  timestamptz,
    version     integer not null default 1,
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp()
);
create unique index patient_once on patient.patient (account, document) where removed_at is null;
create unique index patient_self on patient.patient (account) where relation = 'self' and removed_at is null;
create index on patient.patient (document);
create index on patient.patient (phone);
create index on patient.patient (name);
-- What a hospital's HIS calls a patient. It may hold several records of one person; one
-- of them is used.
create table patient.identity (
    hospital    text not null,
    patient     text not null references patient.patient,
    patient_no  text not null,
    card_no     text not null default '',
    used        boolean not null,
    linked_at   timestamptz not null default clock_timestamp(),
    primary key (hospital, patient, patient_no)
);
create unique index identity_used on patient.identity (hospital, patient) where used;
create index on patient.identity (hospital, patient_no);
-- A registration that the HIS is told of.
create table patient.registration (
    hospital    text not null,
    patient     text not null references patient.patient,
    state       text not null,                -- registering, stuck, registered
    problem     text not null default '',
    updated_at  timestamptz not null default clock_timestamp(),
    primary key (hospital, patient)
);
