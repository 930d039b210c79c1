-- +goose Up

-- Which cipher a data key seals with. What it sealed says so itself.
alter table hub.data_key add column cipher text not null default 'aes' check (cipher in ('aes', 'sm4'));

-- +goose Down
alter table hub.data_key drop column cipher;
