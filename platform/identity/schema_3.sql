-- A code of a HIS is one person's: what is done under it was done by him. Where two have
-- the same, the one who got it first keeps it; the other's role has to be given again.
update identity.role_grant g set state = 'revoked', note = 'another account has this code', version = version + 1, updated_at = clock_timestamp()
where state <> 'revoked' and code <> '' and exists (select from identity.role_grant f
    where f.hospital = g.hospital and f.role = g.role and f.code = g.code and f.state <> 'revoked' and f.id < g.id);
create unique index role_grant_code on identity.role_grant (hospital, role, code) where state <> 'revoked' and code <> '';
