select cfh, his_no, ypdm, ypmc, sl, dj, je from zjk_bill where jzh = $1 and patid = $2 and zfbz = '0' order by his_no, xh -- ["V0000345678","0000024772"]
