zl_third_getpatient(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><PTBH></PTBH><XM>张三测试</XM><ZJLX>身份证</ZJLX><ZJH>999999199001010016</ZJH></IN>"}
