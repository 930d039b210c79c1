create schema pay;

-- An attempt to pay an order at a channel. It is written before the channel is asked.
create table pay.attempt (
    id         bigint generated always as identity primary key,
    channel    text not null,
    no         text not null,                     -- how the channel knows it (out_trade_no)
    order_no   text not null,
    hospital   text not null,
    patient    text not null,                     -- our number of the patient
    way        text not null,                     -- how the payer is led to the channel
    amount     bigint not null check (amount > 0),  -- fen
    state      text not null,
    client     bytea,                             -- what the payer's device needs, sealed
    channel_no text not null default '',
    got        bigint not null default 0,         -- what the channel says came, fen
    paid_at    timestamptz,
    expires_at timestamptz not null,              -- at the channel
    next_at    timestamptz,                       -- when the channel is asked; null: not any more
    asked      integer not null default 0,
    problem    text not null default '',
    told       text not null default '',          -- what became of telling the HIS
    his_no     text not null default '',
    decided_by bigint not null default 0,
    note       bytea,                             -- why, of who decided, sealed
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    unique (channel, no)
);
-- One channel at a time may take an order's money.
create unique index attempt_live on pay.attempt (order_no) where state in ('created', 'sent', 'unknown');
create unique index attempt_channel_no on pay.attempt (channel, channel_no) where channel_no <> '';
create index attempt_order on pay.attempt (order_no);
create index attempt_next on pay.attempt (next_at) where next_at is not null;
create index attempt_undecided on pay.attempt (hospital, id) where state in ('unknown', 'review');
create index attempt_his_no on pay.attempt (hospital, his_no) where his_no <> '';

create table pay.refund (
    no                text primary key,           -- ours (out_refund_no)
    hospital          text not null,
    attempt           bigint not null references pay.attempt,
    order_no          text not null,
    patient           text not null,
    origin            text not null,              -- who wants it
    amount            bigint not null check (amount > 0),
    lines             integer[] not null,
    reason            bytea not null,             -- sealed
    state             text not null,
    his_refund_no     text not null default '',   -- the window's
    proposed_by       bigint not null default 0,
    decided_by        bigint not null default 0,
    channel_refund_no text not null default '',
    returned_at       timestamptz,
    next_at           timestamptz,
    asked             integer not null default 0,
    problem           text not null default '',
    told              text not null default '',
    created_at        timestamptz not null default clock_timestamp(),
    updated_at        timestamptz not null default clock_timestamp()
);
create unique index refund_window on pay.refund (hospital, his_refund_no) where his_refund_no <> '';
create index refund_order on pay.refund (order_no);
create index refund_next on pay.refund (next_at) where next_at is not null;
create index refund_undecided on pay.refund (hospital, created_at) where state in ('requested', 'failed', 'unknown');

-- How much goes back without a second person, fen.
create table pay.setting (hospital text primary key, refund_alone bigint not null check (refund_alone >= 0));

-- The journal. What is in it is never changed; a mistake is posted against.
create table pay.posting (
    id       bigint generated always as identity primary key,
    hospital text not null,
    fact     text not null,
    key      text not null,                       -- of the attempt or the refund
    order_no text not null,
    at       timestamptz not null default clock_timestamp(),
    unique (fact, key)                            -- a fact is posted once
);
create index on pay.posting (hospital, id);
create table pay.entry (
    posting bigint not null references pay.posting,
    account text not null,
    amount  bigint not null check (amount <> 0),  -- fen; debit above 0, credit below
    primary key (posting, account, amount)
);
create index on pay.entry (account);

create function pay.balanced() returns trigger language plpgsql as $$
declare
    of bigint; n integer; total bigint;
begin
    if tg_table_name = 'posting' then of := new.id; else of := new.posting; end if;
    select count(*), coalesce(sum(amount), 0) into n, total from pay.entry where posting = of;
    if n < 2 or total <> 0 then
        raise exception 'posting % has % entries that sum to % fen, not to 0', of, n, total using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger balanced after insert on pay.posting deferrable initially deferred for each row execute function pay.balanced();
create constraint trigger balanced after insert on pay.entry deferrable initially deferred for each row execute function pay.balanced();

create function pay.unchanged() returns trigger language plpgsql as $$
begin
    raise exception 'the journal is not changed; post against it' using errcode = 'check_violation';
end $$;
create trigger unchanged before update or delete on pay.posting for each row execute function pay.unchanged();
create trigger unchanged before update or delete on pay.entry for each row execute function pay.unchanged();
