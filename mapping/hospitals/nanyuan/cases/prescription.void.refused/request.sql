select czbz, cwxx, his_no from zjk_cf_zf where yljgdm = :org and cfh = :no order by id desc limit 1 -- {"org": "NY0001", "no": "RX20260105000001"}
