create schema payment;

create table payment.payment (
    order_id    text not null,
    hospital    text not null,
    visit_no    text not null,
    patient_no  text not null,
    rx          text[] not null,
    amount      bigint not null check (amount > 0),  -- fen
    refunded    bigint not null default 0 check (refunded between 0 and amount),
    channel     text not null,
    channel_no  text not null,
    paid_at     timestamptz not null,
    state       text not null,
    his_no      text not null default '',
    his_problem text not null default '',
    updated_at  timestamptz not null default clock_timestamp(),
    primary key (hospital, order_id),
    unique (channel, channel_no)              -- one payment of the channel pays one order
);

create table payment.refund (
    refund_no         text not null,
    hospital          text not null,
    order_id          text not null,
    amount            bigint not null check (amount > 0),
    channel_refund_no text not null,
    reason            text not null,
    state             text not null,
    his_no            text not null default '',
    his_problem       text not null default '',
    refunded_at       timestamptz not null,
    updated_at        timestamptz not null default clock_timestamp(),
    primary key (hospital, refund_no),
    unique (hospital, order_id, channel_refund_no), -- one refund of the channel is one of ours
    foreign key (hospital, order_id) references payment.payment
);
