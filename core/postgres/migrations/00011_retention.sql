-- +goose Up

-- How long a class is kept, where an operator set something else than the program's.
create table hub.retention (
    class text primary key,
    days  integer not null check (days >= 0) -- from the end of its month; 0 is for ever
);

-- +goose Down
drop table hub.retention;
