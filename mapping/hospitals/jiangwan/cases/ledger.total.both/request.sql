select sfbs, sfje, tfbs, tfje from v_dz_hz where rq = :day and czy = :operator -- {"day": "2026-01-05", "operator": "net07"}
