zl_third_swapstaut(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><BRID>0000024772</BRID><TKDH>IHR20260106000001</TKDH></IN>"}
