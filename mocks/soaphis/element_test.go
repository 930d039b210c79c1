package soaphis

import (
	"testing"
	"unicode/utf8"
)

func TestTheParserReadsWhatCallersWrite(t *testing.T) {
	e, err := parseXML("\ufeff<?xml version='1.0'?><!-- x --><a:R xmlns:a='u'><T> 1 &lt;&#20013;&#x6587;&amp; </T><E/><C>x<![CDATA[<]]]]><![CDATA[>]]>y</C><N><K>2</K></N></a:R>\n")
	if err != nil {
		t.Fatal(err)
	}
	if e.name != "R" || e.value("T") != "1 <中文&" || e.value("E") != "" || e.value("C") != "x<]]>y" || e.child("N").value("K") != "2" || e.child("M").value("K") != "" {
		t.Errorf("%+v", e)
	}
	for _, wrong := range []string{"", "x", "<a>", "<a></b>", "<a/><b/>", "<a>&nbsp;</a>", "<!DOCTYPE a><a/>", "<a><![CDATA[</a>", "</a>", "<a", "<>x</>"} {
		if _, err := parseXML(wrong); err == nil {
			t.Errorf("%q was read", wrong)
		}
	}
}

func FuzzParseXML(f *testing.F) {
	f.Add(recipe("RX1"))
	f.Add("<a><![CDATA[x]]>&#x41;<b c='d'/></a>")
	f.Fuzz(func(t *testing.T, in string) {
		e, err := parseXML(in)
		if err != nil || !utf8.ValidString(in) {
			return
		}
		// What was read can be written and read again.
		var d document
		d.put("x", e.text)
		again, err := parseXML(d.String())
		if err != nil || again.text != e.text && joined(e.text, "") != "" {
			t.Errorf("%q came back as %+v, %v", e.text, again, err)
		}
	})
}
