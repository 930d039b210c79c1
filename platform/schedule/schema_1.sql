create schema schedule;
-- Where a hospital's clinic sessions come from: its HIS, or templates of ours.
create table schedule.source (hospital text primary key, source text not null check (source in ('platform', 'his')));
create table schedule.template (
    id            bigint generated always as identity primary key,
    hospital      text not null,
    doctor        text not null,
    department    text not null,
    weekday       integer not null check (weekday between 1 and 7),  -- ISO: 1 is Monday
    period        text not null,
    starts        time not null,
    ends          time not null check (ends > starts),
    capacity      integer not null check (capacity between 1 and 500),
    fee           bigint not null check (fee >= 0),                  -- fen
    quota         jsonb not null default '{}',                       -- by channel; what is not named shares the rest
    release_days  integer not null check (release_days between 0 and 90),
    release_time  time not null,
    valid_from    date not null,
    valid_until   date,
    ended_at      timestamptz,
    created_at    timestamptz not null default clock_timestamp()
);
create index on schedule.template (hospital) where ended_at is null;
create table schedule.session (
    no          text not null,
    hospital    text not null,
    doctor      text not null,
    department  text not null,
    day         date not null,
    period      text not null,
    starts      timestamptz not null,
    ends        timestamptz not null,
    capacity    integer not null check (capacity >= 0),
    held        integer not null default 0 check (held >= 0),
    booked      integer not null default 0 check (booked >= 0),
    fee         bigint not null,
    source      text not null,
    his_no      text not null default '',      -- the HIS's number of the session
    slot_no     text not null default '',
    release_at  timestamptz not null,
    stopped_at  timestamptz,
    stop_reason text not null default '',
    substitute  text not null default '',      -- the doctor who takes it
    template    bigint,
    as_of       timestamptz not null default clock_timestamp(),
    primary key (hospital, no),
    constraint never_oversold check (held + booked <= capacity)
);
create unique index session_template on schedule.session (template, day) where template is not null;
create index on schedule.session (hospital, day, department, doctor);
create table schedule.quota (
    hospital text not null, session text not null, channel text not null,
    capacity integer not null, held integer not null default 0, booked integer not null default 0,
    primary key (hospital, session, channel),
    foreign key (hospital, session) references schedule.session,
    constraint never_oversold check (held >= 0 and booked >= 0 and held + booked <= capacity)
);
