-- Bookings of a HIS's session that its remaining places do not count yet, by their
-- number: null while the HIS has not agreed, then when that was known (seconds since 1970).
alter table schedule.session add on_way jsonb not null default '{}';
