create schema prescription;

create table prescription.prescription (
    no           text not null,
    hospital     text not null,
    revision     integer not null default 1,
    state        text not null,
    doctor       text not null,
    pharmacist   text,
    reason       text not null default '',  -- of a rejection or void
    content      bytea not null,            -- sealed canonical JSON
    content_hash bytea not null,            -- SHA-256 of the signed content
    signed_at    timestamptz not null,
    valid_until  timestamptz not null,
    his_no       text not null default '',
    his_problem  text not null default '',  -- why the HIS does not have it, in our words
    updated_at   timestamptz not null default clock_timestamp(),
    primary key (hospital, no)
);
create index prescription_state on prescription.prescription (hospital, state, updated_at);
