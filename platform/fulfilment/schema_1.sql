create schema fulfilment;
-- What is to be handed out, one for each prescription.
create table fulfilment.fulfilment (
    hospital     text not null,
    no           text not null,                 -- of the prescription
    patient      text not null,                 -- our number
    account      bigint not null,               -- whose patient it is
    state        text not null,
    valid_until  timestamptz not null,          -- of the prescription: nothing is handed out later
    code         bytea,                         -- keyed digest of the pick-up code; null: there is none that holds
    tries        integer not null default 0,    -- wrong ones of that code
    address      bytea,                         -- sealed: where a delivery goes
    carrier      text not null default '',
    tracking     text not null default '',
    created_at   timestamptz not null default clock_timestamp(),
    updated_at   timestamptz not null default clock_timestamp(),
    primary key (hospital, no)
);
create index on fulfilment.fulfilment (account, created_at desc);
create index fulfilment_open on fulfilment.fulfilment (hospital, updated_at) where state in ('ready', 'preparing', 'shipped', 'arrived');
create index fulfilment_lapsing on fulfilment.fulfilment (valid_until) where state in ('ready', 'preparing');
create unique index on fulfilment.fulfilment (carrier, tracking) where tracking <> '';
-- What happened to it, and who did it. Nothing of it ever changes.
create table fulfilment.step (
    hospital     text not null,
    no           text not null,
    state        text not null,
    at           timestamptz not null default clock_timestamp(),
    account      bigint not null,               -- 0: nobody; the HIS or the carrier said so
    code         text not null default '',      -- of the pharmacist at the HIS
    checks       text not null default '',      -- what he had checked
    reason       bytea,                         -- sealed
    foreign key (hospital, no) references fulfilment.fulfilment
);
create index on fulfilment.step (hospital, no, at);
