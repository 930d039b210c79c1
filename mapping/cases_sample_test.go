package mapping

import (
	"strings"
	"testing"
)

// What a sample and what is sent may differ in without saying different things, and
// what is told where they do.
func TestWhereASampleSaysOtherwise(t *testing.T) {
	const sample = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
		`<Save xmlns="urn:his"><no>RX1</no><items>&lt;Items&gt;&lt;Item&gt;&lt;Qty&gt;1&lt;/Qty&gt;&lt;/Item&gt;&lt;/Items&gt;</items></Save></soap:Body></soap:Envelope>`
	const head = "POST /his HTTP/1.1\nContent-Type: text/xml\n\n"
	for name, c := range map[string]struct{ sample, old, new, want string }{
		"the same":             {"", "", "", ""},
		"prefixes":             {"", "<Save xmlns=\"urn:his\"><no>RX1</no><items>", "<h:Save xmlns:h=\"urn:his\"><h:no>RX1</h:no><h:items>", ""},
		"blanks":               {"", "><soap:Body>", ">\n  <soap:Body>\n", ""},
		"a value":              {"", "RX1", "RX2", `/Envelope/Body/Save/no: the sample has "RX1", sent is "RX2"`},
		"a blank in a value":   {"", "RX1", "RX1 ", `/Envelope/Body/Save/no: the sample has "RX1", sent is "RX1 "`},
		"a document in a text": {"", "1&lt;/Qty", "2&lt;/Qty", `/Envelope/Body/Save/items/Items/Item/Qty: the sample has "1", sent is "2"`},
		"blanks in a text":     {"", "&lt;Item&gt;", "\n&lt;Item&gt;", `/Envelope/Body/Save/items: the sample has "`},
		"one is missing":       {"", "<no>RX1</no>", "", `/Envelope/Body/Save/no: only in the sample`},
		"one too many":         {"", "<no>", "<x/><no>", `/Envelope/Body/Save/x: only in what is sent`},
		"the order":            {"", "<no>RX1</no><items>&lt;Items&gt;&lt;Item&gt;&lt;Qty&gt;1&lt;/Qty&gt;&lt;/Item&gt;&lt;/Items&gt;</items>", "<items>&lt;Items&gt;&lt;Item&gt;&lt;Qty&gt;1&lt;/Qty&gt;&lt;/Item&gt;&lt;/Items&gt;</items><no>RX1</no>", `/Envelope/Body/Save: the order is no items in the sample`},
		"the namespace":        {"", `xmlns="urn:his"`, `xmlns="urn:other"`, `Save: the sample has it in the namespace "urn:his", sent is "urn:other"`},
		"unqualified":          {"", "<no>RX1</no>", `<no xmlns="">RX1</no>`, `no: the sample has it in the namespace "urn:his", sent is ""`},
		"CDATA":                {"", "RX1", "<![CDATA[RX1]]>", "CDATA: 0 times in the sample, 1 times in what is sent"},
		"SOAP's version":       {"", "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope", "Envelope: the sample has it in the namespace"},
		"another address":      {strings.Replace(head, "/his", "/other", 1) + sample, "", "", "the sample is POST /other HTTP/1.1, sent is POST /his HTTP/1.1"},
		"with a head":          {"POST /his HTTP/1.1\r\nHost: h\r\n\r\n" + sample, "", "", ""},
		"no envelope":          {`{"a":1}`, "", "", "line 1 differs"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.sample == "" {
				c.sample = sample
			}
			sent := head + strings.ReplaceAll(sample, c.old, c.new)
			if c.old == "" {
				sent = head + sample
			} else if !strings.Contains(sample, c.old) {
				t.Fatalf("the sample does not have %s", c.old)
			}
			if name == "prefixes" {
				sent = strings.NewReplacer("</items></Save>", "</h:items></h:Save>").Replace(sent)
			}
			got := saysOtherwise([]byte(c.sample), []byte(sent))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// Whatever was recorded, comparing it ends, and finds nothing where both are the same.
func FuzzSaysOtherwise(f *testing.F) {
	f.Add([]byte(`<a:Envelope xmlns:a="x"><b>1<c/></b></a:Envelope>`), []byte(`<Envelope xmlns="x"><b>2</b></Envelope>`))
	f.Add([]byte("POST / HTTP/1.1\n\n<Envelope/>"), []byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		saysOtherwise(a, b)
		if d := saysOtherwise(a, a); d != "" {
			t.Errorf("differs from itself: %s", d)
		}
	})
}
