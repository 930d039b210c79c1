zl_third_getschedule(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><KSID>0102</KSID><YSID></YSID><KSRQ>2026-01-06</KSRQ><JSRQ>2026-01-07</JSRQ></IN>"}
