zl_third_revokeoutadvice(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><WBDH>RX20260105000001</WBDH><BRID>0000024772</BRID><ZFYY>开错药 &lt;重开&gt;</ZFYY><ZFR>00731</ZFR></IN>"}
