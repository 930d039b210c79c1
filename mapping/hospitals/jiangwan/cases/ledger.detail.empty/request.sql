select lx, ddh, tkdh, jylsh, jyid, je, jysj, czy, zffs, cz, djh from v_dz_mx where rq = :day and czy = :operator order by jysj, jyid -- {"day": "2026-01-05", "operator": "net07"}
