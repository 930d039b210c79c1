begin
insert into zjk_cf_zf (yljgdm, cfh, zfyy, zfsj) values (:yljgdm, :cfh, :zfyy, :zfsj) -- {"yljgdm": "NY0001", "cfh": "RX20260105000001", "zfyy": "医生撤回<重开>&改量", "zfsj": "2026-01-05 15:02:00"}
commit
