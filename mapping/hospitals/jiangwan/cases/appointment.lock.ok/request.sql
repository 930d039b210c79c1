zl_third_lockno(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><CZLX>0</CZLX><WBDH>IH20260105000009</WBDH><BRID>0000024772</BRID><PBID>PB202601060m</PBID><HX>3</HX></IN>"}
