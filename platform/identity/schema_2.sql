-- Who made an invitation: account; 0 is the administrator of the machine, null nobody knows.
alter table identity.invitation add made_by bigint;
