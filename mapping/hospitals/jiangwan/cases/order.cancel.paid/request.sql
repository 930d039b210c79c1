zl_third_revokeoutadvice(xml_in, out xml_out) -- {"xml_in": "<IN><CZYBH>net07</CZYBH><WBDH>LAB20260105000001</WBDH><BRID>0000024772</BRID><ZFYY>重复申请</ZFYY><ZFR>00731</ZFR></IN>"}
