zl_third_getstock(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><YPID>Y00000003803</YPID><YFID></YFID></IN>"}
