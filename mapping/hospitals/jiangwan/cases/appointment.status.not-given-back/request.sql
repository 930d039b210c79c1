zl_third_getregist(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><WBDH>IH20260105000009</WBDH></IN>"}
