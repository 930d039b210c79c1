zl_third_waitingpay(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><GHDH>V0000345678</GHDH><BRID>0000024772</BRID></IN>"}
