select ddh, sjh, zt, je from v_zjk_jf where ddh = $1 -- ["IH20260105000002"]
