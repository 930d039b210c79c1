-- An appointment is replaced by one other at a time, else it would become several. Of several
-- that are asked for now, each goes for the one before it.
update appointment.appointment a set replaces = d.before
    from (select no, lag(no) over (partition by replaces order by created_at, no) as before from appointment.appointment where state = 'requested' and replaces <> '') d
    where d.no = a.no and d.before is not null;
create unique index appointment_replaced on appointment.appointment (replaces) where state = 'requested' and replaces <> '';
