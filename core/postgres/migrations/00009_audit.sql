-- +goose Up

-- Every act of a person, and every look at what names a patient, in one chain:
-- digest = sha256(previous || content). One chain for the whole installation, so that
-- there is one head to keep elsewhere and no hospital's chain can vanish as a whole.
-- Not partitioned: people do thousands of things a day at most, and it is kept for ever.
create table hub.audit (
    number   bigint primary key,
    at       timestamptz not null,
    actor    text not null,
    role     text not null,
    verb     text not null,
    hospital text not null, -- '' is none
    subject  text not null, -- as "message 4711"
    purpose  text not null,
    request  text not null, -- of the API, as in its log
    data     text not null, -- JSON or ''
    previous bytea not null,
    digest   bytea not null
);
create index audit_hospital on hub.audit (hospital, number);
create index audit_actor on hub.audit (actor, number);
create index audit_verb on hub.audit (verb, number);
create index audit_subject on hub.audit (subject, number);

create table hub.audit_head (
    alone  boolean primary key default true check (alone),
    number bigint not null,
    digest bytea not null
);
insert into hub.audit_head (number, digest) values (0, decode(repeat('00', 32), 'hex'));

-- Heads as they were, signed with a key that the database alone does not give.
create table hub.audit_anchor (
    number    bigint primary key,
    digest    bytea not null,
    at        timestamptz not null default clock_timestamp(),
    signature bytea not null
);

-- What a transaction did; empty outside of transactions. Its trigger runs at the
-- commit, so that the head is locked for the commit alone, after every other lock:
-- a process that stands still in the middle of an act holds nobody up, and there is
-- no order of locks to get wrong.
create table hub.audit_inbox (
    id       bigint generated always as identity primary key,
    actor    text not null,
    role     text not null,
    verb     text not null,
    hospital text not null,
    subject  text not null,
    purpose  text not null,
    request  text not null,
    data     text not null
);

-- Each field as its length in bytes, a colon and its text; audit.go writes the same.
-- +goose StatementBegin
create function hub.audit_content(variadic fields text[]) returns bytea language sql immutable as $$
    select convert_to(string_agg(octet_length(f) || ':' || f, '' order by i), 'UTF8') from unnest(fields) with ordinality u(f, i)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function hub.audit_append() returns trigger language plpgsql as $$
declare
    head hub.audit_head;
    moment timestamptz;
    sum bytea;
begin
    select * into strict head from hub.audit_head for update;
    head.number := head.number + 1;
    moment := clock_timestamp();
    sum := sha256(head.digest || hub.audit_content(head.number::text, ((extract(epoch from moment) * 1000000)::bigint)::text,
        new.actor, new.role, new.verb, new.hospital, new.subject, new.purpose, new.request, new.data));
    insert into hub.audit (number, at, actor, role, verb, hospital, subject, purpose, request, data, previous, digest)
        values (head.number, moment, new.actor, new.role, new.verb, new.hospital, new.subject, new.purpose, new.request, new.data, head.digest, sum);
    update hub.audit_head set number = head.number, digest = sum;
    delete from hub.audit_inbox where id = new.id;
    return null;
end $$;
-- +goose StatementEnd
create constraint trigger audit_append after insert on hub.audit_inbox deferrable initially deferred
    for each row execute function hub.audit_append();

-- Against mistakes; who owns the database can take it off, and is found by the chain.
-- +goose StatementBegin
create function hub.audit_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'the audit is only added to';
end $$;
-- +goose StatementEnd
create trigger audit_refuse before update or delete or truncate on hub.audit
    for each statement execute function hub.audit_refuse();

-- +goose Down
drop table hub.audit_inbox, hub.audit_anchor, hub.audit_head, hub.audit;
drop function hub.audit_append, hub.audit_refuse, hub.audit_content;
