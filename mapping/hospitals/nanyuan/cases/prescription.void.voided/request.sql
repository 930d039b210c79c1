select czbz, cwxx, his_no from zjk_cf_zf where yljgdm = $1 and cfh = $2 order by id desc limit 1 -- ["NY0001","RX20260105000001"]
