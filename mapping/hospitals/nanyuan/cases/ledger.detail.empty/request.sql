select lx, ddh, tfdh, jylsh, sjh, je, sj, czy, zfqd, cz, cfhs from v_zjk_ledger where rq = :day and czy = :operator order by sj, sjh -- {"day": "2026-01-05", "operator": "net07"}
