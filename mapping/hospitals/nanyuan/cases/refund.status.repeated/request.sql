select tfdh, czbz, cwxx, his_no, je from zjk_tf where yljgdm = :org and tfdh = :no order by id desc limit 1 -- {"org": "NY0001", "no": "IHR20260106000001"}
