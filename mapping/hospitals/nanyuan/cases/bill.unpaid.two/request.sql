select cfh, his_no, ypdm, ypmc, sl, dj, je from zjk_bill where jzh = :visit and patid = :patient and zfbz = '0' order by his_no, xh -- {"visit": "V0000345678", "patient": "0000024772"}
