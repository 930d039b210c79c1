create schema chat;
create table chat.conversation (
    no          text primary key,
    hospital    text not null,
    subject     text not null,                  -- the consultation
    seq         bigint not null default 0,      -- of its last message
    closed_at   timestamptz,
    created_at  timestamptz not null default clock_timestamp(),
    unique (hospital, subject)
);
create table chat.member (
    conversation text not null references chat.conversation,
    account      bigint not null,
    role         text not null check (role in ('patient', 'doctor')),
    read_seq     bigint not null default 0,
    primary key (conversation, account)
);
create index on chat.member (account);
-- Messages in the order of their seq, 1, 2, 3 … without a gap; kept by months.
create table chat.message (
    conversation text not null,
    seq          bigint not null,
    at           timestamptz not null,
    sender       bigint not null,               -- account; 0: nobody wrote it
    client_id    text not null,                 -- the sender's own, so that a repeat is the same message
    kind         text not null,
    body         bytea not null,                -- sealed
    primary key (conversation, seq, at)
) partition by range (at);
create index on chat.message (conversation, sender, client_id);
