create schema consult;
-- What a doctor offers online.
create table consult.service (
    hospital    text not null,
    doctor      text not null,                  -- code
    account     bigint not null,                -- of the doctor
    department  text not null,
    fee         bigint not null check (fee >= 0),   -- fen
    accept_within integer not null check (accept_within between 1 and 2880),  -- minutes
    lasts       integer not null check (lasts between 5 and 10080),           -- minutes
    daily       integer not null check (daily between 1 and 500),
    open        boolean not null,
    updated_at  timestamptz not null default clock_timestamp(),
    primary key (hospital, doctor)
);
create table consult.consult (
    no           text primary key,
    hospital     text not null,
    doctor       text not null,
    doctor_account bigint not null,
    department   text not null,
    account      bigint not null,               -- of the patient
    patient      text not null,                 -- our number
    state        text not null,
    details      bytea not null,                -- sealed: complaint, history, allergies, proof
    summary      bytea,                         -- sealed
    why          bytea,                         -- sealed: refused, cancelled
    conversation text not null default '',
    fee          bigint not null,
    accept_within integer not null,
    lasts        integer not null,
    accept_until timestamptz,
    ends_at      timestamptz,
    started_at   timestamptz,
    ended_at     timestamptz,
    rating       integer check (rating between 1 and 5),
    created_at   timestamptz not null default clock_timestamp(),
    updated_at   timestamptz not null default clock_timestamp()
);
create index on consult.consult (account, created_at desc, no desc);
create index on consult.consult (hospital, doctor, state, created_at);
create index consult_waiting on consult.consult (accept_until) where state = 'waiting';
create index consult_active on consult.consult (ends_at) where state = 'active';
create index consult_ended on consult.consult (ended_at) where state = 'ended';
-- One thing at a time between a patient and a doctor.
create unique index consult_going_on on consult.consult (hospital, doctor, patient) where state in ('created', 'waiting', 'active');
