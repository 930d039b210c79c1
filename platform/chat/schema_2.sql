-- Whose conversation it is, by our number, for the audit; '' of those before.
alter table chat.conversation add column patient text not null default '';
-- Pictures that members put into a conversation. Others see one once it was sent.
create table chat.picture (
    no           text primary key,
    conversation text not null references chat.conversation,
    account      bigint not null,               -- who put it there
    client_id    text not null,                 -- the sender's own, so that a repeat is the same picture
    digest       bytea not null,                -- of what was uploaded, keyed
    type         text not null,
    width        int not null,
    height       int not null,
    size         int not null,                  -- bytes
    at           timestamptz not null default clock_timestamp(),
    sent_at      timestamptz,
    unique (conversation, account, client_id)
);
create index on chat.picture (at);
-- What they show, sealed; kept by months, as messages are.
create table chat.picture_bytes (
    picture text not null,
    part    text not null check (part in ('whole', 'small')),
    at      timestamptz not null,               -- the picture's
    sealed  bytea not null,
    primary key (picture, part, at)
) partition by range (at);
-- It is sealed, so that it cannot be made smaller.
alter table chat.picture_bytes alter column sealed set storage external;
