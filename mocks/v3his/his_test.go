package v3his

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"

	"hishub/mocks/books"
	"hishub/mocks/fault"
)

func start(t *testing.T, o Options) *HIS {
	t.Helper()
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func wrapped(action, interaction, act string) string {
	message := `<` + interaction + ` xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id extension="M1"/><creationTime value="20260105"/><interactionId extension="` + interaction + `"/>` +
		`<receiver><device/></receiver><sender><device/></sender><controlActProcess>` + act + `</controlActProcess></` + interaction + `>`
	return `<e:Envelope xmlns:e="` + soap12 + `"><e:Body><HIPMessageServer xmlns="urn:hl7-org:v3"><action>` + action + `</action><message><![CDATA[` + message + `]]></message></HIPMessageServer></e:Body></e:Envelope>`
}

// said is the status and the payload, unescaped.
func said(t *testing.T, h *HIS, body string) (int, string) {
	t.Helper()
	r, err := http.Post(h.URL(), contentType, strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, ""
	}
	e, err := parse(string(text))
	if err != nil {
		return r.StatusCode, string(text)
	}
	if p := e.at("Body", "HIPMessageServerResponse", "payload"); p != nil {
		return r.StatusCode, p.text
	}
	return r.StatusCode, string(text)
}

func charge(order, fee string) string {
	return wrapped("ChargeInfoAdd", "FIAB_IN010001UV01", `<subject><financialTransaction><id><item root="`+oidCharge+`" extension="`+order+`"/><item root="`+oidTrade+`" extension="42"/></id>`+
		`<effectiveTime value="20260105145601"/><methodCode code="01"/><amt xsi:type="MO" value="`+fee+`" currency="CNY"/><author><assignedEntity><id><item root="`+oidStaff+`" extension="net07"/></id></assignedEntity></author>`+
		`<reason><id root="`+oidHeld+`" extension="R1"/></reason></financialTransaction></subject>`)
}

func asks(order string) string {
	return wrapped("ChargeInfoQuery", "QUQI_IN000003UV01", `<queryByParameter><parameterList><id><value root="`+oidCharge+`" extension="`+order+`"/></id></parameterList></queryByParameter>`)
}

func TestBooksAndRepeats(t *testing.T) {
	for repeats, want := range map[books.Repeats]string{books.Same: `typeCode="AA"`, books.Refuse: `typeCode="AE"`, books.Double: `typeCode="AA"`} {
		t.Run(string(repeats), func(t *testing.T) {
			h := start(t, Options{Repeats: repeats})
			_, first := said(t, h, charge("IH1", "46.19"))
			if !strings.Contains(first, `<targetMessage><id extension="M1"/></targetMessage>`) || !strings.Contains(first, `extension="S0000001"/></id><statusCode code="completed"/><value xsi:type="MO" value="46.19" currency="CNY"/>`) {
				t.Errorf("answered %s", first)
			}
			if _, again := said(t, h, charge("IH1", "46.19")); !strings.Contains(again, want) {
				t.Errorf("a repeat is answered %s", again)
			}
			if _, other := said(t, h, charge("IH1", "46.20")); repeats == books.Same && !strings.Contains(other, "重复提交内容不一致") {
				t.Errorf("another amount is answered %s", other)
			}
			if _, there := said(t, h, asks("IH1")); !strings.Contains(there, `code="OK"`) || !strings.Contains(there, `extension="S0000001"`) {
				t.Errorf("the inquiry is answered %s", there)
			}
			if _, absent := said(t, h, asks("IH9")); !strings.Contains(absent, `code="NF"`) {
				t.Errorf("the inquiry is answered %s", absent)
			}
			if s := h.Books().Settlements; len(s) != map[books.Repeats]int{books.Same: 1, books.Refuse: 1, books.Double: 3}[repeats] || s[0].PaidAt != "2026-01-05 14:56:01" || s[0].Operator != "net07" || s[0].Bills[0] != "R1" {
				t.Errorf("the books have %+v", s)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	h := start(t, Options{Inquiry: "none"})
	for name, c := range map[string]struct {
		say    string
		status int
		want   string
	}{
		"no XML":            {"<", 500, "不是SOAP 1.2报文"},
		"SOAP 1.1":          {strings.Replace(asks("IH1"), soap12, "http://schemas.xmlsoap.org/soap/envelope/", 1), 500, "不是SOAP 1.2报文"},
		"no message":        {strings.Replace(asks("IH1"), "message>", "massage>", 2), 500, "缺少action或message"},
		"a broken message":  {strings.Replace(asks("IH1"), "<![CDATA[", "<![CDATA[<", 1), 500, "message不是XML"},
		"unknown action":    {strings.Replace(asks("IH1"), "ChargeInfoQuery", "ChargeQuery", 1), 200, "不支持的action"},
		"other interaction": {strings.Replace(asks("IH1"), "ChargeInfoQuery", "OrderInfoQuery", 1), 200, "交互类型与action不符"},
		"no head":           {strings.Replace(asks("IH1"), "<sender><device/></sender>", "", 1), 200, "消息头不完整"},
		"not offered":       {asks("IH1"), 200, "未开通此服务"},
		"wrong money":       {charge("IH1", "46.1.9"), 200, "金额格式错误"},
		"another currency":  {strings.Replace(charge("IH1", "46.19"), "CNY", "USD", 1), 200, "金额格式错误"},
	} {
		if status, got := said(t, h, c.say); status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s is answered %d %s", name, status, got)
		}
	}
	if len(h.Books().Settlements) != 0 {
		t.Error("something was booked")
	}
}

func TestFaults(t *testing.T) {
	for kind, c := range map[fault.Kind]struct {
		status int
		answer string
		effect string
		booked int
	}{
		fault.Busy:           {200, `typeCode="AR"`, "busy", 0},
		fault.Reject:         {200, "药品库存不足", "refused: 药品库存不足", 0},
		fault.SoapFault:      {500, "soap:Receiver", "none", 0},
		fault.HTTP500:        {500, "Internal Server Error", "none", 0},
		fault.CutBefore:      {0, "", "none", 0},
		fault.CutAfterCommit: {0, "", "done", 1},
		fault.Truncated:      {0, "", "done", 1},
	} {
		h := start(t, Options{})
		if err := h.Script().Add(fault.Rule{Fault: kind, Operation: "ChargeInfoAdd", Key: "IH1", Times: 1}); err != nil {
			t.Fatal(err)
		}
		status, got := said(t, h, charge("IH1", "46.19"))
		b := h.Books()
		if status != c.status || !strings.Contains(got, c.answer) || len(b.Settlements) != c.booked || len(b.Journal) != 1 || b.Journal[0].Effect != c.effect {
			t.Errorf("%s: answered %d %s, booked %d, journal %+v", kind, status, got, len(b.Settlements), b.Journal)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(charge("IH1", "46.19"))
	f.Add(asks("IH1"))
	f.Add(wrapped("OrderInfoAdd", "POOR_IN200901UV", `<subject><placerGroup><id root="`+oidOrder+`" extension="RX1"/><value xsi:type="MO" value="1"/><component2/></placerGroup></subject>`))
	f.Add(wrapped("LedgerQuery", "QUQI_IN000003UV01", `<queryByParameter><initialQuantity value="1"/><startResultNumber value="1"/><parameterList><day><value value="20260105"/></day></parameterList></queryByParameter>`))
	h, err := Start(f.Context(), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Close() })
	f.Fuzz(func(t *testing.T, body string) {
		m, wrong := read([]byte(body))
		if m == nil || wrong != "" {
			return
		}
		op := actions[m.action]
		_ = op.key(m)
		var any struct{ XMLName xml.Name }
		if err := xml.Unmarshal([]byte(h.acknowledge(m, op.act(h, m))), &any); err != nil {
			t.Errorf("the answer cannot be read: %v", err)
		}
	})
}
