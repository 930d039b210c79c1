-- Numbers of the identity cards of those who sign, which regulators want with a signature.
create table rx.signatory (
    account      bigint primary key,
    id_no        bytea not null,                -- sealed
    set_by       bigint not null,               -- account of who said it
    updated_at   timestamptz not null default clock_timestamp()
);
