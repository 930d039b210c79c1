select lx, ddh, tfdh, jylsh, sjh, je, sj from v_zjk_ledger where rq = $1 and czy = $2 order by sj, sjh -- ["2026-01-05","net07"]
