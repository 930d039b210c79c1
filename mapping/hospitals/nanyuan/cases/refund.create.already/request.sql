begin
insert into "zjk_tf" ("yljgdm", "tfdh", "ddh", "sjh", "je", "tfsj", "tfyy", "czy") values ($1, $2, $3, $4, $5, $6, $7, $8) -- ["NY0001","IHR20260106000001","IH20260105000002","S0000002","10.00","2026-01-06 09:00:00","药品缺货","net07"]
commit
