create schema clinic_order;
create table clinic_order.orders (
    no          text primary key,
    hospital    text not null,
    kind        text not null,
    subject     text not null,                    -- the number of what it pays for
    account     bigint not null,                  -- who pays
    patient     text not null,                    -- our number of the patient
    state       text not null,
    amount      bigint not null check (amount >= 0),  -- fen
    refunded    bigint not null default 0 check (refunded between 0 and amount),
    lines       bytea not null,                   -- sealed
    version     integer not null default 1,       -- of lines and amount
    expires_at  timestamptz not null,
    paid_at     timestamptz,
    channel     text not null default '',
    why         text not null default '',         -- it was closed
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp()
);
-- One thing has one order that may still be paid, or is.
create unique index orders_subject on clinic_order.orders (hospital, kind, subject) where state in ('created', 'paying', 'paid');
create index orders_account on clinic_order.orders (account, created_at desc, no desc);
create index orders_expiring on clinic_order.orders (expires_at) where state = 'created';
create table clinic_order.refund (
    no          text primary key,                 -- ours
    order_no    text not null references clinic_order.orders,
    amount      bigint not null check (amount > 0),
    lines       integer[] not null,               -- which lines it gives back; empty: a part of the whole
    by_window   boolean not null,                 -- the HIS started it
    reason      bytea not null,                   -- sealed
    returned_at timestamptz,                      -- the channel paid it
    created_at  timestamptz not null default clock_timestamp()
);
create index on clinic_order.refund (order_no);
