-- For lists of finance. On tables that have grown, build both by hand first, with
-- create index concurrently; these lines do nothing then.
create index if not exists attempt_hospital on pay.attempt (hospital, id);
create index if not exists attempt_refused on pay.attempt (hospital, id) where state = 'succeeded' and told = 'go_back';
create index if not exists refund_hospital on pay.refund (hospital, created_at, no);
create index if not exists posting_day on pay.posting (hospital, at);
create index if not exists posting_order on pay.posting (order_no);
