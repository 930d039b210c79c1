update orders set date_stopped = now(), order_reason_non_coded = :why where accession_number = :no and date_stopped is null and voided = 0 -- {"why": "医生撤回<重开>&改量", "no": "RX20260105000001"}
