-- The HIS is told of the money once it has agreed to the booking, with its number of that.
alter table appointment.appointment
    add pay_state text not null default '', -- waiting, told; ledger: given up before that, and no HIS is told
    add pay_channel text not null default '',
    add pay_channel_no text not null default '',
    add paid_at timestamptz,
    add untold boolean not null default false; -- something is told once the HIS has agreed
create index appointment_untold on appointment.appointment (updated_at) where untold;
