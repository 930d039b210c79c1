create schema rx;
create table rx.prescription (
    no           text primary key,
    hospital     text not null,
    consult      text not null,
    author       bigint not null,               -- account of the doctor
    doctor       text not null,                 -- his code
    patient      text not null,                 -- our number
    account      bigint not null,               -- whose patient it is
    state        text not null,
    revision     integer not null default 0,    -- the last that was signed; 0: none
    version      integer not null default 1,    -- of the draft
    draft        bytea not null,                -- sealed
    valid_until  timestamptz,
    told_at      timestamptz,                   -- the HIS is told of it
    his_no       text not null default '',
    his_problem  text not null default '',
    why          bytea,                         -- sealed: why it was rejected, voided
    created_at   timestamptz not null default clock_timestamp(),
    updated_at   timestamptz not null default clock_timestamp()
);
create index on rx.prescription (hospital, consult);
create index on rx.prescription (account, created_at desc);
create index prescription_reviewing on rx.prescription (hospital, updated_at) where state = 'in_review';
create index prescription_expiring on rx.prescription (valid_until) where state in ('in_review', 'rejected', 'approved');
-- What was signed. Nothing of it ever changes.
create table rx.revision (
    no           text not null references rx.prescription,
    revision     integer not null,
    content      bytea not null,                -- sealed; the bytes that were signed
    hash         bytea not null,                -- SHA-256 of them
    algorithm    text not null,
    signature    bytea not null,
    certificate  text not null,                 -- serial number
    author       bigint not null,
    signed_at    timestamptz not null,
    primary key (no, revision)
);
create table rx.review (
    no           text not null,
    revision     integer not null,
    pharmacist   bigint not null,               -- account
    code         text not null,
    approved     boolean not null,
    findings     bytea not null,                -- sealed: the seven checks and the reason
    algorithm    text not null,
    signature    bytea not null,
    certificate  text not null,
    reviewed_at  timestamptz not null,
    primary key (no, revision),
    foreign key (no, revision) references rx.revision
);
create function rx.immutable() returns trigger language plpgsql as $$
begin
    raise exception 'what was signed never changes' using errcode = 'integrity_constraint_violation';
end $$;
create trigger immutable before update or delete on rx.revision for each row execute function rx.immutable();
create trigger immutable before update or delete on rx.review for each row execute function rx.immutable();
-- When a hospital's HIS is told of a prescription: once it is paid, or as soon as it is
-- approved, where the HIS makes the bill.
create table rx.setting (hospital text primary key, tell_at text not null check (tell_at in ('paid', 'approved')));
-- Keys of the local signer, which stands in for a certification authority.
create table rx.signing_key (
    account      bigint not null,
    algorithm    text not null,
    certificate  text not null unique,          -- serial number
    private      bytea not null,                -- sealed
    public       bytea not null,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (account, algorithm)
);
