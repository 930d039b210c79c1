-- +goose Up

-- What entries say beside their number. Refunds from before this migration keep
-- an empty order_id, and money of appointments is there from now on: their bodies
-- are sealed and not for SQL to read.
alter table hub.ledger_entry
    add column order_id text not null default '',    -- of a refund: the payment
    add column business text not null default 'outpatient' check (business in ('outpatient', 'registration')),
    add column bill     text not null default '',
    add column reversal boolean not null default false, -- no money moved
    add column told     boolean not null default true;  -- false: the HIS is not told
-- Partial: payments, which are most, pay nothing for them.
create index ledger_entry_refund on hub.ledger_entry (number, hospital) where type = 'refund';
create index ledger_entry_untold on hub.ledger_entry (order_id, hospital) where type = 'refund' and not told;

-- Prescriptions and orders by the time at which they were accepted.
create index message_record on hub.message (hospital, accepted_at)
    where kind in ('prescription.create', 'prescription.void', 'order.create', 'order.cancel');

-- One party's books of one day, as they were taken at one moment.
create table hub.statement (
    id       bigint generated always as identity primary key,
    hospital text not null,
    day      date not null,
    party    text not null check (party in ('channel', 'ours', 'his')),
    source   text not null,
    taken    timestamptz not null default clock_timestamp(),
    digest   text not null,
    entries  bigint not null,
    amount   bigint not null, -- fen, payments less refunds
    fee      bigint not null  -- 1/1000 fen
);
create index statement_day on hub.statement (hospital, day, party, source, id);

create table hub.statement_entry (
    statement  bigint not null,
    day        date not null,
    line       bigint not null, -- its row in the party's books
    type       text not null,
    number     text not null,
    order_id   text not null,
    his_no     text not null,
    channel_no text not null,
    channel    text not null,
    operator   text not null,
    amount     bigint not null,
    state      text not null,
    at         timestamptz,
    reversal   boolean not null,
    bill       text not null,
    fee        bigint not null
) partition by range (day);
create index statement_entry_statement on hub.statement_entry (statement);
create index statement_entry_refund on hub.statement_entry (number) where type = 'refund';
create index statement_entry_refund_channel on hub.statement_entry (channel_no) where type = 'refund';

alter table hub.night
    add column closed      boolean not null default false,
    add column detail      text not null default '',
    add column why         text not null default '',
    add column stage       text not null default '',
    add column done        bigint not null default 0,
    add column lease_until timestamptz,
    add column amounts     jsonb,
    add column lines       jsonb,
    add column statements  jsonb,
    drop constraint night_state_check,
    add constraint night_state_check check (state in ('running', 'waiting', 'done', 'failed'));
update hub.night set state = 'failed', ended = clock_timestamp(), problem = 'the process that ran it ended' where state = 'running';
update hub.night set detail = 'full' where state = 'done';
update hub.night n set closed = true where id = (select min(id) from hub.night f where f.hospital = n.hospital and f.day = n.day and f.state = 'done');
update hub.night n set lines = (
    select jsonb_agg(jsonb_build_object('party', party, 'channel', '', 'business', 'outpatient', 'type', type, 'count', count, 'amount', amount, 'fee', 0))
    from (values
        ('ours', 'payment', n.ours->'payments', n.ours->'payment_amount'), ('ours', 'refund', n.ours->'refunds', n.ours->'refund_amount'),
        ('his', 'payment', n.theirs->'payments', n.theirs->'payment_amount'), ('his', 'refund', n.theirs->'refunds', n.theirs->'refund_amount'))
        l(party, type, count, amount))
    where state = 'done' and ours is not null and theirs is not null;
alter table hub.night drop column ours, drop column theirs;
create unique index night_closed on hub.night (hospital, day) where closed;

alter table hub.difference rename to finding;
drop index hub.difference_night;
create index finding_night on hub.finding (night, number);
alter table hub.finding rename column theirs to his;
alter table hub.finding
    add column channel   jsonb,
    add column amount    bigint not null default 0,
    add column cause     text not null default '',
    add column of_number text not null default '',
    add column proposed  text not null default ''; -- what the policy proposes
-- What stood in "state" of our entries was what became of the message.
update hub.finding set ours = (select jsonb_agg((e - 'state') || jsonb_strip_nulls(jsonb_build_object('told', e->'state'))) from jsonb_array_elements(ours) e)
    where jsonb_typeof(ours) = 'array';
update hub.finding set amount = coalesce((ours->0->>'amount')::bigint, (his->0->>'amount')::bigint, 0);

create table hub.case (
    id        bigint generated always as identity primary key,
    hospital  text not null,
    day       date not null,
    type      text not null,
    number    text not null,
    class     text not null,
    amount    bigint not null,
    state     text not null default 'open' check (state in ('open', 'repairing', 'resolved', 'written_off')),
    owner     text not null,
    opened_at timestamptz not null default clock_timestamp(),
    ended_at  timestamptz,
    night     bigint not null, -- that found it last
    finding   jsonb not null
);
-- By number first, so that no plan looks up a hospital and reads all of its cases.
create unique index case_live on hub.case (number, hospital, type) where state in ('open', 'repairing');
create index case_number on hub.case (number, hospital, id);
create index case_day on hub.case (hospital, day);

create table hub.case_trail (
    id      bigint generated always as identity primary key,
    case_id bigint not null references hub.case on delete cascade,
    at      timestamptz not null default clock_timestamp(),
    who     text not null,
    verb    text not null,
    note    text not null default ''
);
create index case_trail_case on hub.case_trail (case_id, id);

create table hub.repair (
    id          bigint generated always as identity primary key,
    case_id     bigint not null references hub.case on delete cascade,
    action      text not null,
    params      jsonb not null default '{}',
    note        text not null default '',
    amount      bigint not null,
    state       text not null default 'proposed' check (state in ('proposed', 'approved', 'sent', 'done', 'failed', 'rejected')),
    proposed_by text not null,
    proposed_at timestamptz not null default clock_timestamp(),
    approved_by text not null default '',
    second_by   text not null default '',
    approved_at timestamptz,
    message     bigint,
    problem     text not null default '',
    people      smallint not null default 0, -- that it took at its first approval; a later rule takes no fewer
    ended_at    timestamptz -- done, failed or rejected
);
create unique index repair_open on hub.repair (case_id) where state in ('proposed', 'approved', 'sent');
create index repair_case on hub.repair (case_id, id);
create index repair_moving on hub.repair (id) where state in ('approved', 'sent');

-- Money that a channel paid into the hospital's bank account.
create table hub.settlement (
    hospital  text not null,
    reference text not null, -- the bank's
    channel   text not null,
    day       date not null,
    amount    bigint not null,
    who       text not null,
    at        timestamptz not null default clock_timestamp(),
    replaced  jsonb not null default '[]', -- what stood here before, oldest first: day, amount, who, at
    primary key (hospital, channel, reference)
);
create index settlement_day on hub.settlement (hospital, day);

-- +goose Down
drop table hub.settlement, hub.repair, hub.case_trail, hub.case;
-- statement_entry has partitions, and months that were detached for being dropped.
-- +goose StatementBegin
do $$
declare t text;
begin
    for t in select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'hub' and c.relkind = 'r' and c.relname ~ '^statement_entry_[0-9]{4}_[0-9]{2}$' and not c.relispartition loop
        execute format('drop table hub.%I', t);
    end loop;
end $$;
-- +goose StatementEnd
drop table hub.statement_entry, hub.statement;

alter table hub.finding drop column channel, drop column amount, drop column cause, drop column of_number, drop column proposed;
update hub.finding set ours = (select jsonb_agg((e - 'told' - 'state') || jsonb_strip_nulls(jsonb_build_object('state', e->'told'))) from jsonb_array_elements(ours) e)
    where jsonb_typeof(ours) = 'array';
alter table hub.finding rename column his to theirs;
drop index hub.finding_night;
create index difference_night on hub.finding (night, id);
alter table hub.finding rename to difference;

alter table hub.night add column ours jsonb, add column theirs jsonb;
update hub.night n set
    ours = (select jsonb_build_object('payments', coalesce(sum((l->>'count')::bigint) filter (where l->>'type' = 'payment'), 0),
        'payment_amount', coalesce(sum((l->>'amount')::bigint) filter (where l->>'type' = 'payment'), 0),
        'refunds', coalesce(sum((l->>'count')::bigint) filter (where l->>'type' = 'refund'), 0),
        'refund_amount', coalesce(sum((l->>'amount')::bigint) filter (where l->>'type' = 'refund'), 0))
        from jsonb_array_elements(case jsonb_typeof(n.lines) when 'array' then n.lines else '[]' end) l where l->>'party' = 'ours'),
    theirs = (select jsonb_build_object('payments', coalesce(sum((l->>'count')::bigint) filter (where l->>'type' = 'payment'), 0),
        'payment_amount', coalesce(sum((l->>'amount')::bigint) filter (where l->>'type' = 'payment'), 0),
        'refunds', coalesce(sum((l->>'count')::bigint) filter (where l->>'type' = 'refund'), 0),
        'refund_amount', coalesce(sum((l->>'amount')::bigint) filter (where l->>'type' = 'refund'), 0))
        from jsonb_array_elements(case jsonb_typeof(n.lines) when 'array' then n.lines else '[]' end) l where l->>'party' = 'his');
update hub.night set state = 'failed', problem = 'somebody''s books were not there yet' where state = 'waiting';
drop index hub.night_closed;
alter table hub.night
    drop column closed, drop column detail, drop column why, drop column stage, drop column done, drop column lease_until,
    drop column amounts, drop column lines, drop column statements,
    drop constraint night_state_check,
    add constraint night_state_check check (state in ('running', 'done', 'failed'));

drop index hub.message_record, hub.ledger_entry_refund, hub.ledger_entry_untold;
alter table hub.ledger_entry drop column order_id, drop column business, drop column bill, drop column reversal, drop column told;
