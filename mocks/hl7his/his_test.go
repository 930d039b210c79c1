package hl7his

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"

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

// said sends texts over one connection and gives the answers, segments by line;
// "" where the connection ended.
func said(t *testing.T, h *HIS, texts ...string) (answers []string) {
	t.Helper()
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(conn)
	for _, text := range texts {
		if _, err := conn.Write(framed(text)); err != nil {
			return append(answers, "")
		}
		b, err := heard(r)
		if err != nil {
			return append(answers, "")
		}
		text, _ := decode(b)
		answers = append(answers, strings.ReplaceAll(text, "\r", "\n"))
	}
	return answers
}

func head(kind, id string) string {
	return `MSH|^~\&|IH||HIS|HEPING|20260105||` + kind + "|" + id + "|P|2.4\r"
}

func prescription(id, no string) string {
	return head("OMP^O09", id) + "PID|1||0000024772^^^^PatientNO||阿卜·䶮\\F\\测\\S\\试\\R\\\\T\\\\E\\\rPV1|1|O|||||||||||||||||V1\r" +
		"ORC|NW|" + no + "-1||" + no + "\rRXO|Y1^甲|2||盒\rRXR|1\rFT1||||||CG|Y1|||2|24.69|12.3450\rZTO|24.69\r"
}

func payment(id, no, fee string) string {
	return head("DFT^P03", id) + "FT1|1|" + no + "|42|20260105145601||PY|WECHAT||||" + fee + "|||||||||net07|||R1~R2\r"
}

func question(id, name, parameters string) string {
	return head("QBP^Q11", id) + "QPD|" + name + "|" + id + "|" + parameters + "\rRCP|I\r"
}

func TestBooksAndRepeats(t *testing.T) {
	for repeats, want := range map[books.Repeats]string{
		books.Refuse: "MSA|AE|3|重复的业务主键\nERR|ORC^1^4^205&重复的业务主键&HL70357\nZFI|IH1|S0000004|46.19|P|0.00|20260105145601",
		books.Same:   "MSA|AA|3|成功\nZFI|IH1|",
		books.Double: "MSA|AA|3|成功\nZFI|IH1|",
	} {
		t.Run(string(repeats), func(t *testing.T) {
			h := start(t, Options{Repeats: repeats})
			got := said(t, h, prescription("1", "RX1"), payment("2", "IH1", "46.19"), payment("3", "IH1", "46.19"), question("4", "Z03", "IH1"), question("5", "Z03", "IH9"))
			if !strings.Contains(got[2], want) && !(repeats == books.Refuse && strings.Contains(got[2], "ERR|ORC^1^4^205&重复的业务主键&HL70357\nZFI|IH1|S")) {
				t.Errorf("a repeat is answered\n%s", got[2])
			}
			if !strings.Contains(got[3], "QAK|4|OK|Z03\nQPD|Z03|4|IH1\nZFI|IH1|S") || !strings.Contains(got[4], "MSA|AA|5\nQAK|5|NF|Z03") {
				t.Errorf("the inquiries are answered\n%s\n%s", got[3], got[4])
			}
			b := h.Books()
			if n := len(b.Settlements); n != map[books.Repeats]int{books.Refuse: 1, books.Same: 1, books.Double: 2}[repeats] || b.Settlements[0].PaidAt != "2026-01-05 14:56:01" || strings.Join(b.Settlements[0].Bills, " ") != "R1 R2" {
				t.Errorf("the books have %d settlements: %+v", n, b.Settlements)
			}
			if p := b.Prescriptions[0]; p.PatientName != `阿卜·䶮|测^试~&\` || p.PatientID != "0000024772" || p.VisitNo != "V1" || p.Lines[0].Name != "甲" || p.AmountFen != 2469 {
				t.Errorf("the books have %+v", p)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	h := start(t, Options{Inquiry: "none"})
	for name, c := range map[string]struct{ say, want string }{
		"unknown type":   {head("ADT^A99", "1"), "MSA|AR|1|不支持的消息类型\nERR|MSH^1^9^200&"},
		"no control id":  {head("ADT^A04", ""), "MSA|AR||缺少消息控制ID"},
		"no name":        {head("ADT^A04", "2") + "PID|1||P1^^^^PersonNO|||||\r", "MSA|AE|2|缺少必填字段\nERR|PID^1^"},
		"no route":       {strings.Replace(prescription("3", "RX1"), "RXR|1\r", "", 1), "ERR|RXR^1^1^101&缺少给药途径"},
		"wrong total":    {strings.Replace(prescription("4", "RX1"), "ZTO|24.69", "ZTO|24.70", 1), "MSA|AE|4|明细金额与总额不符"},
		"wrong money":    {payment("5", "IH1", "46.1.9"), "ERR|FT1^1^11^102&金额格式错误"},
		"wrong time":     {strings.Replace(payment("6", "IH1", "46.19"), "20260105145601", "2026-01-05", 1), "ERR|FT1^1^4^102&"},
		"no inquiry":     {question("7", "Z03", "IH1"), "MSA|AE|7|未开通此查询"},
		"unknown refund": {head("DFT^P03", "8") + "FT1|1|R1|50|20260105145601||CD|WECHAT||||-1.00|||||||||net07|||IH9\r", "MSA|AE|8|未找到收费记录"},
		"positive":       {head("DFT^P03", "9") + "FT1|1|R1|50|20260105145601||CD|WECHAT||||1.00|||||||||net07|||IH9\r", "MSA|AE|9|金额格式错误"},
		"no MSH":         {"hello", ""},
	} {
		got := said(t, h, c.say)[0]
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s is answered\n%s", name, got)
		}
	}
	if b := h.Books(); len(b.Prescriptions)+len(b.Settlements)+len(b.Refunds) != 0 {
		t.Errorf("the books have %+v", b)
	}
}

func TestFaults(t *testing.T) {
	for kind, c := range map[fault.Kind]struct {
		answer string // a part of it; "" is none
		effect string
		booked int
	}{
		fault.Busy:            {"MSA|AR|1|系统繁忙，请稍后再试\nERR|MSH^1^10^206&", "busy", 0},
		fault.Reject:          {"MSA|AE|1|药品库存不足", "refused: 药品库存不足", 0},
		fault.CutBefore:       {"", "none", 0},
		fault.CutAfterCommit:  {"", "done", 1},
		fault.Truncated:       {"", "done", 1},
		fault.DuplicateAnswer: {"ERR|ORC^1^4^205&", "done", 1},
		fault.WrongCharset:    {"MSA|AA|1|", "done", 1},
		fault.LateVerdict:     {"MSA|CA|1", "done", 1},
	} {
		t.Run(string(kind), func(t *testing.T) {
			h := start(t, Options{})
			if err := h.Script().Add(fault.Rule{Fault: kind, Operation: "DFT^P03/PY", Key: "IH1", Times: 1, Delay: fault.Delay(time.Millisecond)}); err != nil {
				t.Fatal(err)
			}
			got := said(t, h, payment("1", "IH1", "46.19"))[0]
			if (c.answer == "") != (got == "") || !strings.Contains(got, c.answer) {
				t.Errorf("answered %q", got)
			}
			for deadline := time.Now().Add(10 * time.Second); len(h.Books().Journal) == 0 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			b := h.Books()
			if len(b.Settlements) != c.booked || len(b.Journal) != 1 || b.Journal[0].Effect != c.effect || b.Journal[0].Fault != string(kind) {
				t.Errorf("booked %d, journal %+v", len(b.Settlements), b.Journal)
			}
			if again := said(t, h, question("2", "Z03", "IH1"))[0]; !strings.Contains(again, "QAK|2|") {
				t.Errorf("then it answers %q", again)
			}
		})
	}
	h := start(t, Options{})
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := h.Script().Add(fault.Rule{Fault: fault.Down}); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives a down")
	}
	if c, err := net.Dial("tcp", h.Addr()); err == nil {
		c.Close()
		t.Error("it is down and takes calls")
	}
	h.Script().Clear()
	if got := said(t, h, question("1", "Z08", ""))[0]; !strings.Contains(got, "ZDP|0102|呼吸内科|01|N") {
		t.Errorf("up again, it answers %q", got)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(prescription("1", "RX1"))
	f.Add(payment("2", "IH1", "46.19"))
	f.Add(question("3", "Z06", "20260105"))
	f.Add("MSH#*~\\&#A#B#####ADT*A04#1\nPID#1#\\X\\\\Xzz\\")
	h, err := Start(f.Context(), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Close() })
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parse(text)
		if err != nil {
			return
		}
		_, op := operationOf(m)
		r := reply{code: "AR"}
		if op != nil {
			_ = op.key(m)
			r = op.act(h, m)
		}
		if _, err := parse(h.document(m, r)); err != nil {
			t.Errorf("the answer cannot be read: %v", err)
		}
	})
}
