-- The order that pays for a consultation; '' in those from before it was kept here.
alter table consult.consult add order_no text not null default '';
