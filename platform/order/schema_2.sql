-- How much of each of its lines a refund gives back, fen; empty: all of each. Quick on any
-- table: the default is not written into rows.
alter table clinic_order.refund add column parts bigint[] not null default '{}';
