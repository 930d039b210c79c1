create schema audit;
-- The hub's chain has whose data an act showed in its data, as text. An index over that
-- finds it: it is always what the chain has, and nothing has to be kept beside it. What is
-- no such data is of nobody; an act must never fail for it.
create function audit.patients(data text) returns text[] language plpgsql immutable parallel safe as $$
begin
    if position('"patients"' in data) = 0 then
        return '{}';
    end if;
    return array(select jsonb_array_elements_text(data::jsonb -> 'patients'));
exception when others then
    return '{}';
end $$;
-- The account in "account 7", or "李主任 (account 7)"; null where nobody of the clinic acted.
create function audit.account(actor text) returns bigint language sql immutable parallel safe as $$
    select substring(actor from '^(?:.* \()?account ([0-9]{1,18})\)?$')::bigint
$$;
create index audit_patients on hub.audit using gin (audit.patients(data)) where position('"patients"' in data) > 0;
create index audit_account on hub.audit (audit.account(actor), number);
-- When the whole chain was gone through, and what was found.
create table audit.verified (
    id       bigint generated always as identity primary key,
    at       timestamptz not null default clock_timestamp(),
    entries  bigint not null,
    head     text not null,
    faults   text[] not null
);
