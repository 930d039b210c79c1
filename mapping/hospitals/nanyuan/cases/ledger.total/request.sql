select sum(jfbs) as jfbs, sum(jfje) as jfje, sum(tfbs) as tfbs, sum(tfje) as tfje from v_zjk_ledger_hz where rq = :day and czy = :operator -- {"day": "2026-01-05", "operator": "net07"}
