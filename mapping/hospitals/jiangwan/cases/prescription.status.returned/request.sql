zl_third_getadvice(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><WBDH>RX20260105000001</WBDH></IN>"}
