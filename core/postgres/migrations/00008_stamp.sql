-- +goose Up

-- What a request was made with and what stood before the answer's body, so that both
-- can be gone through again exactly. Older rows have none of it.
alter table hub.exchange
    add column stamp    bytea, -- attempt.id, 16 bytes
    add column serial   bigint, -- attempt.serial
    add column asked_at timestamptz, -- attempt.time
    add column head     text; -- status line and content type of HTTP; null: a plain 200, or no HTTP

-- +goose Down
alter table hub.exchange drop column stamp, drop column serial, drop column asked_at, drop column head;
