-- After a restore, once the platform has fed its outbox again: all that waits may have reached the HIS
-- after the restore point. It is asked about before it is sent; where the HIS cannot be asked and may not be
-- told twice, a person decides.
update hub.queue set sent_at = clock_timestamp(), lease_until = clock_timestamp(), takeover_at = clock_timestamp(), fence = fence + 1
where state = 'queued';
-- Then, hospital by hospital: hishub hospital resume <hospital>
