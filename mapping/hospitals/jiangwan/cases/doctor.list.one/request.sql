zl_third_getdoctor(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><KSID>0102</KSID></IN>"}
