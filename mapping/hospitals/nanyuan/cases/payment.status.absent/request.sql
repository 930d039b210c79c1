select ddh, sjh, zt, je from v_zjk_jf where ddh = :no -- {"no": "IH20260105000002"}
