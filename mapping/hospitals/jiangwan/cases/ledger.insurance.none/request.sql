select lx, jslsh, jyid, je, jysj from v_yb_mx where rq = :day order by jysj, jyid -- {"day": "2026-01-05"}
