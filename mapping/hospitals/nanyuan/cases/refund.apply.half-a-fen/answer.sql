update zjk_tz set clbz = :clbz, clyj = :clyj, tkdh = :tkdh, clsj = current_timestamp where id = :id and clbz = '0' -- {"clbz": "9", "clyj": "签名或报文不正确", "tkdh": "", "id": "9"}
