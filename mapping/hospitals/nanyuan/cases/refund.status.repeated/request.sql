select tfdh, czbz, cwxx, his_no, je from zjk_tf where yljgdm = $1 and tfdh = $2 order by id desc limit 1 -- ["NY0001","IHR20260106000001"]
