-- +goose Up

-- By what else than its key a message is found, and what a HIS told us: the numbers
-- that stand in it, and its patient. Each is a keyed hash of eight bytes, so that the
-- table names nobody and a guess cannot be tried without the key. What was accepted
-- before this migration has none. Rows stay as the months of messages do; partitions
-- come from maintain.go.
create table hub.found_by (
    token       bigint not null,
    message     bigint not null,
    accepted_at timestamptz not null
) partition by range (accepted_at);
-- With the message, so that the newest of many come first without sorting all.
create index found_by_token on hub.found_by (token, message);

-- The events of one message, for its trace. ON ONLY: this statement takes no time
-- however many events there are. Months made from now on have the index from their
-- beginning; Maintain adds it to those that exist, CONCURRENTLY, one after the other.
create index event_message on only hub.event (message) where message <> 0;

-- Incidents are few.
create index incident_opened on hub.incident (hospital, opened_at);

-- +goose Down
drop index hub.incident_opened;
drop index if exists hub.inbound_open; -- made by Maintain
drop index hub.event_message;
drop table hub.found_by;
-- Months that were detached for being dropped.
-- +goose StatementBegin
do $$
declare t text;
begin
    for t in select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'hub' and c.relkind = 'r' and c.relname ~ '^found_by_[0-9]{4}_[0-9]{2}$' loop
        execute format('drop table hub.%I', t);
    end loop;
end $$;
-- +goose StatementEnd
