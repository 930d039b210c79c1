-- After a restore, before a hub is started: every hospital is accepted for and nothing is sent.
update hub.hospital set paused_at = clock_timestamp(), paused_by = 'restore', paused_why = 'restored from a backup'
where paused_at is null;
