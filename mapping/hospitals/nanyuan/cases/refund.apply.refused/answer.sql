update zjk_tz set clbz = :clbz, clyj = :clyj, tkdh = :tkdh, clsj = current_timestamp where id = :id and clbz = '0' -- {"clbz": "2", "clyj": "未找到该订单", "tkdh": "", "id": "8"}
