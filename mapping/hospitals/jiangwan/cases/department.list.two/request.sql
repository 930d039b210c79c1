zl_third_getdept(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH></IN>"}
