update zjk_tz set clbz = :clbz, clyj = :clyj, tkdh = :tkdh, clsj = current_timestamp where id = :id and clbz = '0' -- {"clbz": "1", "clyj": "", "tkdh": null, "id": "10"}
