zl_third_systime(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH></IN>"}
