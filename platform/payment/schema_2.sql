-- A refund that the HIS started has its number; while the channel is being asked
-- to pay it back, it has no number of the channel yet.
alter table payment.refund add column his_refund_no text not null default '';
create unique index refund_his_refund_no on payment.refund (hospital, his_refund_no) where his_refund_no <> '';
alter table payment.refund drop constraint refund_hospital_order_id_channel_refund_no_key;
create unique index refund_channel_refund_no on payment.refund (hospital, order_id, channel_refund_no) where channel_refund_no <> '';
create index payment_his_no on payment.payment (hospital, his_no) where his_no <> '';
