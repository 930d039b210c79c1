begin
insert into "zjk_cf_zf" ("yljgdm", "cfh", "zfyy", "zfsj") values ($1, $2, $3, $4) -- ["NY0001","RX20260105000001","医生撤回<重开>&改量","2026-01-05 15:02:00"]
commit
