begin
insert into zjk_tf (yljgdm, tfdh, ddh, sjh, je, tfsj, tfyy, czy) values (:yljgdm, :tfdh, :ddh, :sjh, :je, :tfsj, :tfyy, :czy) -- {"yljgdm": "NY0001", "tfdh": "IHR20260106000001", "ddh": "IH20260105000002", "sjh": "S0000002", "je": "10.00", "tfsj": "2026-01-06 09:00:00", "tfyy": "药品缺货", "czy": "net07"}
commit
