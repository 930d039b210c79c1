zl_third_getdrug(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><YM>1</YM><MYSL>100</MYSL><YPID></YPID></IN>"}
