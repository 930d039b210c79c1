create schema appointment;
create table appointment.settings (
    hospital      text primary key,
    pay_within    integer not null check (pay_within between 1 and 1440),      -- minutes
    cancel_before integer not null check (cancel_before between 0 and 10080),  -- minutes
    daily         integer not null check (daily between 1 and 100),
    no_shows      integer not null check (no_shows between 1 and 100),
    within_days   integer not null check (within_days between 1 and 3650),
    blocked_days  integer not null check (blocked_days between 1 and 3650)
);
-- A wish for a place. This row is the truth of it; the queue only says whose turn it is.
create table appointment.ticket (
    no          text primary key,
    seq         bigint generated always as identity,
    hospital    text not null,
    session     text not null,
    lane        text not null,
    account     bigint not null,
    patient     text not null,
    channel     text not null,
    request     text not null,                 -- the client's own id of the wish
    him         bytea not null,                -- sealed: what a HIS must know of the patient
    state       text not null,
    reason      text not null default '',
    appointment text not null default '',
    created_at  timestamptz not null default clock_timestamp(),
    answered_at timestamptz,
    unique (account, request)
);
create index ticket_line on appointment.ticket (hospital, lane, seq) where state = 'waiting';
create index ticket_session on appointment.ticket (hospital, session, seq) where state = 'waiting';
create index ticket_waiting on appointment.ticket (seq) where state = 'waiting';
create index ticket_locking on appointment.ticket (appointment) where state = 'locking';
create table appointment.appointment (
    no          text primary key,
    hospital    text not null,
    session     text not null,
    doctor      text not null,
    department  text not null,
    day         date not null,
    period      text not null,
    starts      timestamptz not null,
    ends        timestamptz not null,
    substitute  text not null default '',
    source      text not null,
    his_session text not null,
    slot_no     text not null,
    account     bigint not null,
    patient     text not null,
    channel     text not null,
    fee         bigint not null,               -- fen
    state       text not null,
    order_no    text not null default '',
    replaces    text not null default '',      -- the appointment that goes once this one is held
    him         bytea not null,                -- sealed
    why         bytea,                         -- sealed
    lock_state  text not null default '',
    lock_until  timestamptz,
    lock_no     text not null default '',
    book_state  text not null default '',
    his_no      text not null default '',
    queue_no    text not null default '',
    his_problem text not null default '',
    cancel_told boolean not null default false,
    due         boolean not null default false, -- the HIS said something that has to have effect
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp()
);
-- A patient has one place in a session.
create unique index appointment_open on appointment.appointment (hospital, session, patient) where state in ('requested', 'held', 'confirmed', 'checked_in');
create index on appointment.appointment (order_no);
create index on appointment.appointment (account, created_at desc, no desc);
create index on appointment.appointment (hospital, session, state);
create index appointment_due on appointment.appointment (updated_at) where due;
create index appointment_locking on appointment.appointment (lock_until) where state = 'requested';
create index appointment_ends on appointment.appointment (ends) where state in ('confirmed', 'checked_in');
create index appointment_missed on appointment.appointment (hospital, patient, ends) where state = 'no_show';
create table appointment.waitlist (
    no          text primary key,
    seq         bigint generated always as identity,
    hospital    text not null,
    session     text not null,
    account     bigint not null,
    patient     text not null,
    channel     text not null,
    him         bytea not null,                -- sealed
    state       text not null,
    reason      text not null default '',
    appointment text not null default '',
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp()
);
create unique index waitlist_once on appointment.waitlist (hospital, session, patient) where state = 'waiting';
create index waitlist_line on appointment.waitlist (hospital, session, seq) where state = 'waiting';
create index on appointment.waitlist (account, seq desc);
create table appointment.blacklist (
    hospital   text not null,
    patient    text not null,
    until      timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (hospital, patient)
);
-- A session that was stopped, or that another doctor takes, until everybody is told.
create table appointment.stop (
    id         bigint generated always as identity primary key,
    hospital   text not null,
    session    text not null,
    substitute text not null,
    reason     bytea not null,                 -- sealed
    account    bigint not null,                -- who did it; 0: the HIS
    created_at timestamptz not null default clock_timestamp(),
    done_at    timestamptz
);
create unique index stop_once on appointment.stop (hospital, session, substitute) where done_at is null;
create table appointment.notice (
    hospital   text not null,
    inbound    bigint not null,
    problem    text not null default '',
    created_at timestamptz not null default clock_timestamp(),
    done_at    timestamptz,
    primary key (hospital, inbound)
);
create index notice_open on appointment.notice (created_at) where done_at is null;
