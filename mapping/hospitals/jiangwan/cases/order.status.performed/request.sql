zl_third_getadvice(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><WBDH>LAB20260105000001</WBDH></IN>"}
