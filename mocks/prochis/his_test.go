package prochis

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/servers"
)

// caller is what a hub does: it knows the proxy's DSN and the procedures of the manual.
type caller struct {
	testing.TB
	his *HIS
	db  *pgxpool.Pool
}

func begin(t *testing.T, o Options) caller {
	t.Helper()
	o.DSN = servers.Postgres(t)
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(h.DSN())
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["search_path"] = Schema
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return caller{t, h, db}
}

func (c caller) call(ctx context.Context, name, in string) (string, error) {
	var out string
	err := c.db.QueryRow(ctx, "call zl_third_"+name+"($1, null)", "<IN>"+in+"</IN>").Scan(&out)
	return strings.TrimSuffix(strings.TrimPrefix(out, "<OUTPUT>"), "</OUTPUT>"), err
}

// want calls and compares the answer; a * in it stands for anything without <.
func (c caller) want(name, in, answer string) string {
	c.Helper()
	got, err := c.call(c.Context(), name, in)
	if err != nil {
		c.Fatalf("%s: %v", name, err)
	}
	if !fits(got, answer) {
		c.Errorf("%s %s:\n got %s\nwant %s", name, in, got, answer)
	}
	return got
}

func (c caller) refused(name, in, words string) {
	c.Helper()
	c.want(name, in, "<ERROR><MSG>"+words+"</MSG></ERROR>")
}

func fits(got, want string) bool {
	parts := strings.Split(want, "*")
	for i, p := range parts {
		at := strings.Index(got, p)
		if at < 0 || i == 0 && at != 0 || strings.ContainsRune(got[:at], '<') {
			return false
		}
		got = got[at+len(p):]
	}
	return got == "" || parts[len(parts)-1] == "" && !strings.ContainsRune(got, '<')
}

// at is the text of the first element of that name.
func at(answer, name string) string {
	_, rest, _ := strings.Cut(answer, "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

func (c caller) books() books.Export {
	c.Helper()
	b, err := c.his.Books(context.Background())
	if err != nil {
		c.Fatal(err)
	}
	return b
}

func (c caller) add(rules ...fault.Rule) {
	c.Helper()
	if err := c.his.AddFaults(context.Background(), rules); err != nil {
		c.Fatal(err)
	}
}

const known = "0000024772"

// save is a prescription of two lines, 24.69 and 21.50.
func save(no string) string {
	return "<WBDH>" + no + "</WBDH><GHDH>V1</GHDH><BRID>" + known + "</BRID><XM>䶮·测试 &amp; &lt;一&gt;</XM><JE>46.19</JE><BRKSID>0102</BRKSID><CZYXM>李四测试</CZYXM><YZNRLIST>" +
		"<YZNR><ZLLB>5</ZLLB><KZSJ>2026-01-05 14:30:00</KZSJ><XMMC>阿莫西林胶囊</XMMC><DRUGLIST><ROW><YPID>Y00000003803</YPID><GG>0.25g*24粒</GG><ZL>2</ZL><DW>盒</DW><DJ>12.3450</DJ><JE>24.69</JE></ROW></DRUGLIST></YZNR>" +
		"<YZNR><ZLLB>5</ZLLB><KZSJ>2026-01-05 14:30:00</KZSJ><XMMC>口服溶液</XMMC><DRUGLIST><ROW><YPID>Y00000002416</YPID><ZL>12</ZL><DW>支</DW><DJ>1.7917</DJ><JE>21.50</JE></ROW></DRUGLIST></YZNR></YZNRLIST>"
}

func pay(order, bills, sum, phase, jzid string) string {
	return "<CZYBH>net07</CZYBH><NO>" + bills + "</NO><JE>" + sum + "</JE><BRID>" + known + "</BRID><SFGH>0</SFGH><JSMS>1</JSMS><CZLX>" + phase + "</CZLX><JZID>" + jzid + "</JZID><JSLIST><JS><JSKLB>微信</JSKLB><JSJE>" +
		sum + "</JSJE><JYLSH>42" + order + "</JYLSH><JYSJ>2026-01-05 23:59:58</JYSJ><ZY>" + order + "</ZY></JS></JSLIST>"
}

// settled begins and confirms.
func (c caller) settled(order, bills, sum string) string {
	c.Helper()
	jzid := at(c.want("payment", pay(order, bills, sum, "0", ""), "<JZID>*</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>"), "JZID")
	c.want("payment", pay(order, bills, sum, "1", jzid), "<JZID>"+jzid+"</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>")
	return jzid
}

func back(refund, jzid, sum, lines string) string {
	return "<CZYBH>net07</CZYBH><JE>" + sum + "</JE><YJZID>" + jzid + "</YJZID><FYLIST>" + lines + "</FYLIST><TKLIST><TK><TKJE>" + sum + "</TKJE><JYLSH>?</JYLSH><TKZY>" + refund + "</TKZY><TKSJ>2026-01-06 00:00:01</TKSJ></TK></TKLIST>"
}

func TestPrescriptionToRefund(t *testing.T) {
	c := begin(t, Options{})
	no := at(c.want("advicesave", save("RX1"), "<NO>S*</NO><JE>46.19</JE>"), "NO")
	c.refused("advicesave", save("RX1"), "医嘱RX1已经保存")
	c.refused("advicesave", strings.Replace(save("RX2"), "21.50", "21.49", 1), "明细金额与总额不符")
	c.want("getadvice", "<WBDH>RX1</WBDH>", "<ZT>1</ZT><WBDH>RX1</WBDH><NO>"+no+"</NO><JE>46.19</JE>")
	c.want("getadvice", "<WBDH>RX2</WBDH>", "<ZT>3</ZT>")

	waiting := c.want("waitingpay", "<GHDH>V1</GHDH><BRID>"+known+"</BRID>", "<FYLIST><FY><NO>"+no+"</NO><WBDH>RX1</WBDH><KDSJ>2026-01-05 14:30:00</KDSJ><KDKS>0102</KDKS><YS>李四测试</YS><SFGH>0</SFGH><ZFZT>0</ZFZT>"+
		"<FMLIST><FM><MC>西药费</MC><MXLIST><MX><XH>1</XH><XMID>Y00000003803</XMID><XMMC>阿莫西林胶囊</XMMC><GG>0.25g*24粒</GG><DW>盒</DW><SL>2</SL><DJ>12.3450</DJ><YSJE>24.69</YSJE><SSJE>24.69</SSJE></MX>"+
		"<MX><XH>2</XH><XMID>Y00000002416</XMID><XMMC>口服溶液</XMMC><DW>支</DW><SL>12</SL><DJ>1.7917</DJ><YSJE>21.50</YSJE><SSJE>21.50</SSJE></MX></MXLIST></FM></FMLIST></FY></FYLIST>")
	if err := xml.Unmarshal([]byte(waiting), new(struct{})); err != nil {
		t.Error(err)
	}

	jzid := at(c.want("payment", pay("IH1", no, "46.19", "0", ""), "<JZID>J*</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>"), "JZID")
	c.want("payment", pay("IH1", no, "46.19", "0", ""), "<JZID>"+jzid+"</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>")
	c.want("swapstaut", "<JYLSH>42IH1</JYLSH>", "<ZT>2</ZT><JYSJ>*</JYSJ><JYID>"+jzid+"</JYID><YWLX>3</YWLX><DJH>"+no+"</DJH><JE>46.19</JE><ZY>IH1</ZY>")
	c.refused("payment", pay("IH2", no, "46.19", "0", ""), "单据"+no+"正在支付")
	if n := len(c.books().Settlements); n != 0 {
		t.Errorf("%d settlements are booked by a beginning", n)
	}
	// Taken back, it cannot be confirmed; begun again it has another number.
	c.want("payment", pay("IH1", no, "46.19", "2", jzid), "<JZID>"+jzid+"</JZID><CZSJ>*</CZSJ>")
	c.want("payment", pay("IH1", no, "46.19", "2", jzid), "<JZID>"+jzid+"</JZID><CZSJ>*</CZSJ>")
	c.refused("payment", pay("IH1", no, "46.19", "1", jzid), "结帐ID已失效")
	c.want("swapstaut", "<ZY>IH1</ZY>", "<ZT>0</ZT>*<JYSJ>*</JYSJ><JYID>"+jzid+"</JYID><YWLX>3</YWLX><DJH>"+no+"</DJH><JE>46.19</JE><ZY>IH1</ZY>")
	jzid = c.settled("IH1", no, "46.19")
	c.refused("payment", pay("IH1", no, "46.19", "1", jzid), "单据IH1已经收费")
	c.refused("payment", pay("IH1", no, "46.19", "0", ""), "单据IH1已经收费")
	c.refused("payment", pay("IH1", no, "46.19", "2", jzid), "单据已经收费，不能撤销")
	c.refused("payment", pay("IH2", no, "46.19", "0", ""), "单据"+no+"已经收费")
	c.refused("revokeoutadvice", "<WBDH>RX1</WBDH><ZFYY>测试</ZFYY>", "医嘱已经收费，不能作废")

	second := "<FY><DJH>" + no + "</DJH><XH>2</XH></FY>"
	c.want("charge_delcheck", back("IHR1", jzid, "21.50", second), "<RESULT>true</RESULT>")
	c.want("charge_delcheck", back("IHR1", jzid, "21.49", second), "<RESULT>false</RESULT><ERROR><MSG>-20101***退费明细与总额不符</MSG></ERROR>")
	cxid := at(c.want("charge_del", back("IHR1", jzid, "21.50", second), "<CZSJ>*</CZSJ><YJZID>"+jzid+"</YJZID><CXID>T*</CXID>"), "CXID")
	c.refused("charge_del", back("IHR1", jzid, "21.50", second), "退款单IHR1已经退费")
	c.refused("charge_del", back("IHR2", jzid, "21.50", second), "单据"+no+"明细2已经退费")
	c.refused("charge_del", back("IHR2", jzid, "24.70", ""), "退费金额超过已收金额")
	c.want("swapstaut", "<TKDH>IHR1</TKDH>", "<ZT>1</ZT><JYSJ>*</JYSJ><JYID>"+cxid+"</JYID><JE>21.50</JE><ZY>IHR1</ZY>")
	c.want("swapstaut", "<TKDH>IHR2</TKDH>", "<ZT>3</ZT>")
	c.want("charge_del", back("IHR3", jzid, "24.69", ""), "<CZSJ>*</CZSJ><YJZID>"+jzid+"</YJZID><CXID>T*</CXID>")

	var rows []string
	lines, err := c.db.Query(t.Context(), "select rq || lx || coalesce(tkdh, ddh) || je from v_dz_mx order by jysj")
	if err != nil {
		t.Fatal(err)
	}
	for lines.Next() {
		var row string
		if err := lines.Scan(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	slices.Sort(rows)
	if want := []string{"2026-01-05收费IH146.19", "2026-01-06退费IHR1-21.50", "2026-01-06退费IHR3-24.69"}; !slices.Equal(rows, want) {
		t.Errorf("ledger %q, want %q", rows, want)
	}

	b := c.books()
	if len(b.Prescriptions) != 1 || b.Prescriptions[0].State != books.Settled || b.Prescriptions[0].PatientName != "䶮·测试 & <一>" || len(b.Prescriptions[0].Lines) != 2 || b.Prescriptions[0].Lines[1].AmountFen != 2150 {
		t.Errorf("prescriptions: %+v", b.Prescriptions)
	}
	if len(b.Settlements) != 1 || b.Settlements[0].RefundedFen != 4619 || b.Settlements[0].Order != "IH1" || b.Settlements[0].PaidAt != "2026-01-05 23:59:58" {
		t.Errorf("settlements: %+v", b.Settlements)
	}
	if len(b.Refunds) != 2 || !slices.Equal(b.Refunds[0].Lines, []books.RefundLine{{Bill: no, No: "2", AmountFen: 2150}}) {
		t.Errorf("refunds: %+v", b.Refunds)
	}
}

func TestVoidAndOrder(t *testing.T) {
	c := begin(t, Options{})
	no := at(c.want("advicesave", save("RX1"), "<NO>S*</NO><JE>46.19</JE>"), "NO")
	c.want("revokeoutadvice", "<WBDH>RX1</WBDH><ZFYY>测试</ZFYY>", "<NO>"+no+"</NO><CZSJ>*</CZSJ>")
	c.refused("revokeoutadvice", "<WBDH>RX1</WBDH>", "医嘱RX1已经作废")
	c.refused("revokeoutadvice", "<WBDH>RX9</WBDH>", "医嘱不存在")
	c.refused("payment", pay("IH1", no, "46.19", "0", ""), "单据"+no+"已经作废")
	order := "<WBDH>A1</WBDH><GHDH>V1</GHDH><BRID>" + known + "</BRID><XM>张三测试</XM><JE>20.00</JE><YZNRLIST><YZNR><ZLLB>C</ZLLB><ZLXMID>L001</ZLXMID><XMMC>血常规</XMMC><SL>1</SL><DJ>20.00</DJ><JE>20.00</JE></YZNR></YZNRLIST>"
	c.want("advicesave", order, "<NO>S*</NO><JE>20.00</JE>")
	b := c.books()
	if len(b.Voids) != 1 || b.Voids[0].Reason != "测试" || len(b.Orders) != 1 || b.Orders[0].Lines[0].Code != "L001" || b.Orders[0].Category != "C" {
		t.Errorf("voids %+v, orders %+v", b.Voids, b.Orders)
	}
}

func TestAppointments(t *testing.T) {
	c := begin(t, Options{})
	session := books.Session{No: "PB1", DepartmentCode: "0102", DoctorCode: "00731", Date: "2031-01-05", Period: "morning", Start: "8:00", End: "11:30", Places: 2, FeeFen: 1500}
	if err := c.his.Schedule(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	lock := func(order, place string) string {
		return "<CZLX>0</CZLX><WBDH>" + order + "</WBDH><BRID>" + known + "</BRID><PBID>PB1</PBID><HX>" + place + "</HX>"
	}
	book := func(order, lock string) string {
		return "<WBDH>" + order + "</WBDH><BRID>" + known + "</BRID><PBID>PB1</PBID><HX></HX><SHID>" + lock + "</SHID><GHF>15.00</GHF>"
	}
	shid := at(c.want("lockno", lock("IH1", "2"), "<RESULT>true</RESULT><SHID>L*</SHID><HX>2</HX><YXSJ>*</YXSJ>"), "SHID")
	c.want("lockno", lock("IH1", "2"), "<ERROR><MSG>号源已经锁定</MSG></ERROR><SHID>"+shid+"</SHID><HX>2</HX>")
	c.want("lockno", lock("IH2", "2"), "<RESULT>false</RESULT><ERROR><MSG>-20101***号源被他人占用</MSG></ERROR>")
	c.want("getschedule", "<KSRQ>2031-01-05</KSRQ><JSRQ>2031-01-05</JSRQ>", "<PBLIST><PB><PBID>PB1</PBID><KSID>0102</KSID><YSID>00731</YSID><RQ>2031-01-05</RQ><SJD>上午</SJD><KSSJ>8:00</KSSJ><JSSJ>11:30</JSSJ><SYHS>1</SYHS><GHF>15.00</GHF><TZBZ>0</TZBZ></PB></PBLIST>")
	c.want("getregist", "<WBDH>IH1</WBDH>", "<ZT>4</ZT><SHID>"+shid+"</SHID><HX>2</HX><GHF>15.00</GHF>")
	c.refused("regist", book("IH1", "L9999999"), "锁号已失效")
	ghdh := at(c.want("regist", book("IH1", shid), "<GHDH>G*</GHDH><HX>2</HX><GHF>15.00</GHF>"), "GHDH")
	c.want("regist", book("IH1", shid), "<ERROR><MSG>单据IH1已经挂号</MSG></ERROR><GHDH>"+ghdh+"</GHDH><HX>2</HX><GHF>15.00</GHF>")
	c.want("lockno", strings.Replace(lock("IH1", ""), "<CZLX>0", "<CZLX>1", 1), "<RESULT>false</RESULT><ERROR><MSG>-20101***已挂号，不能解锁</MSG></ERROR>")
	fee := strings.NewReplacer("<SFGH>0", "<SFGH>1", "<JSMS>1", "<JSMS>0").Replace(pay("IH1", ghdh, "15.00", "0", ""))
	c.refused("payment", strings.ReplaceAll(fee, "15.00", "14.00"), "结算金额与挂号费不符")
	c.want("payment", fee, "<JZID>J*</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>")
	c.refused("payment", fee, "单据IH1已经收费")
	cancel := "<CZYBH>net07</CZYBH><WBDH>IH1</WBDH><TKDH>IHR1</TKDH><JE>15.00</JE><TKSJ>2026-01-06 09:00:00</TKSJ>"
	c.refused("registcancel", strings.Replace(cancel, "15.00", "0.00", 1), "退款金额与挂号费不符")
	c.want("registcancel", cancel, "<CZSJ>*</CZSJ><CXID>T*</CXID>")
	c.refused("registcancel", cancel, "单据IH1已经退号")
	c.want("getregist", "<WBDH>IH1</WBDH>", "<ZT>0</ZT><GHDH>"+ghdh+"</GHDH><GHF>15.00</GHF><CXID>T*</CXID><TKJE>15.00</TKJE>")

	// Both places are free again; a lock that is let go may be let go again.
	c.want("lockno", lock("IH3", ""), "<RESULT>true</RESULT><SHID>L*</SHID><HX>1</HX><YXSJ>*</YXSJ>")
	for range 2 {
		c.want("lockno", strings.Replace(lock("IH3", ""), "<CZLX>0", "<CZLX>1", 1), "<RESULT>true</RESULT>")
	}
	c.want("regist", book("IH4", ""), "<GHDH>G*</GHDH><HX>1</HX><GHF>15.00</GHF>")
	c.want("registcancel", "<WBDH>IH4</WBDH><TKDH></TKDH><JE>0</JE>", "<CZSJ>*</CZSJ>")
	if err := c.his.StopSession(t.Context(), "PB1"); err != nil {
		t.Fatal(err)
	}
	c.refused("regist", book("IH5", ""), "已停诊")
	b := c.books()
	if len(b.Appointments) != 3 || b.Appointments[0].State != books.Cancelled || b.Appointments[0].RefundNo != "IHR1" || b.Appointments[1].State != books.Released {
		t.Errorf("appointments: %+v", b.Appointments)
	}
	if len(b.Settlements) != 1 || b.Settlements[0].RefundedFen != 1500 {
		t.Errorf("settlements: %+v", b.Settlements)
	}
}

func TestPatientsAndDictionaries(t *testing.T) {
	c := begin(t, Options{})
	person := "<PTBH>P9</PTBH><XM>测试一</XM><XB>女</XB><CSRQ>2019-12-31</CSRQ><ZJLX>身份证</ZJLX><ZJH>999999201912310024</ZJH><SJH>13800000000</SJH>"
	brid := at(c.want("buildpatient", person, "<BRID>00*</BRID><KH>K*</KH>"), "BRID")
	c.want("buildpatient", person, "<ERROR><MSG>病人已经建档</MSG></ERROR><BRID>"+brid+"</BRID><KH>K*</KH>")
	c.refused("buildpatient", strings.Replace(strings.Replace(person, "P9", "P8", 1), "999999201912310024", "", 1), "证件号不能为空")
	c.want("getpatient", "<XM>测试一</XM><ZJLX>身份证</ZJLX><ZJH>999999201912310024</ZJH>", "<BRLIST><BR><BRID>"+brid+"</BRID><KH>*</KH><XM>测试一</XM><XB>女</XB><CSRQ>2019-12-31</CSRQ><SJH>13800000000</SJH><JZSJ>*</JZSJ></BR></BRLIST>")
	c.want("getpatient", "<XM>测试二</XM><ZJLX>身份证</ZJLX><ZJH>999999201912310024</ZJH>", "<BRLIST/>")
	c.want("systime", "", "<XTSJ>*</XTSJ>")
	for _, x := range []struct{ name, in, of string }{
		{"getdept", "", "<KS>"}, {"getdoctor", "<KSID></KSID>", "<YS>"}, {"getdrug", "<YM>3</YM><MYSL>100</MYSL>", "<YP>"}, {"getstock", "<YPID>Y00000003803</YPID>", "<KC>"},
		{"getschedule", "<KSID>0102</KSID>", "<PB>"},
	} {
		got, err := c.call(t.Context(), x.name, x.in)
		want := map[string]int{"getdept": 6, "getdoctor": 4, "getdrug": 50, "getstock": 1, "getschedule": 2 * scheduleDays}[x.name]
		if n := strings.Count(got, x.of); err != nil || n != want {
			t.Errorf("%s: %d entries, want %d (%v)", x.name, n, want, err)
		}
	}
}

func TestRepeats(t *testing.T) {
	c := begin(t, Options{Repeats: books.Same})
	no := at(c.want("advicesave", save("RX1"), "<NO>S*</NO><JE>46.19</JE>"), "NO")
	c.want("advicesave", save("RX1"), "<NO>"+no+"</NO><JE>46.19</JE>")
	jzid := c.settled("IH1", no, "46.19")
	c.want("payment", pay("IH1", no, "46.19", "1", jzid), "<JZID>"+jzid+"</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>")
	c.refused("payment", pay("IH1", no, "46.20", "1", jzid), "重复提交内容不一致")

	c = begin(t, Options{Repeats: books.Double})
	for range 2 {
		c.want("advicesave", save("RX1"), "<NO>S*</NO><JE>46.19</JE>")
		c.settled("IH1", "RX1", "46.19")
	}
	if b := c.books(); len(b.Settlements) != 2 || len(b.Prescriptions) != 2 {
		t.Errorf("%d settlements, %d prescriptions", len(b.Settlements), len(b.Prescriptions))
	}

	c = begin(t, Options{Inquiry: "none"})
	c.refused("swapstaut", "<ZY>IH1</ZY>", "-20001***未开通")
}

func TestBusinessFaults(t *testing.T) {
	c := begin(t, Options{})
	c.add(fault.Rule{Fault: fault.Reject, Operation: "zl_third_payment", Key: "IH1", Times: 1},
		fault.Rule{Fault: fault.Busy, Operation: "zl_third_payment", Key: "<CZLX>1</CZLX>", Times: 1},
		fault.Rule{Fault: fault.DuplicateAnswer, Operation: "zl_third_charge_del", Times: 1})
	c.refused("payment", pay("IH1", "B1", "1.00", "0", ""), "药品库存不足")
	jzid := at(c.want("payment", pay("IH1", "B1", "1.00", "0", ""), "<JZID>*</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>"), "JZID")
	c.refused("payment", pay("IH1", "B1", "1.00", "1", jzid), "系统繁忙，请稍后再试")
	c.want("payment", pay("IH1", "B1", "1.00", "1", jzid), "<JZID>"+jzid+"</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>")
	c.refused("charge_del", back("IHR1", jzid, "0.40", ""), "退款单IHR1已经退费")
	b := c.books()
	if len(b.Settlements) != 1 || b.Settlements[0].RefundedFen != 40 {
		t.Errorf("settlements: %+v", b.Settlements)
	}
	var effects []string
	for _, e := range b.Journal {
		effects = append(effects, e.Operation+" "+e.Key+" "+e.Effect+" "+e.Fault)
	}
	want := []string{"zl_third_payment IH1 refused: 药品库存不足 reject", "zl_third_payment IH1 begun ", "zl_third_payment IH1 busy busy", "zl_third_payment IH1 done ", "zl_third_charge_del IHR1 done duplicate_answer"}
	if !slices.Equal(effects, want) {
		t.Errorf("journal:\n got %q\nwant %q", effects, want)
	}
	// What no procedure understands is refused in its own way, never an exception.
	got, err := c.call(t.Context(), "payment", "<JE>many</JE>")
	if err != nil || !strings.Contains(got, "<ERROR><MSG>-20999***") {
		t.Errorf("%s %v", got, err)
	}
	if err := c.his.AddFaults(t.Context(), []fault.Rule{{Fault: fault.HTTP500}}); err == nil {
		t.Error("http_500 was taken")
	}
}

func TestNetworkFaults(t *testing.T) {
	c := begin(t, Options{})
	for i, x := range []struct {
		kind     fault.Kind
		answered bool
		books    int
	}{
		{fault.Slow, true, 1}, {fault.Hang, false, 0}, {fault.CutBefore, false, 0}, {fault.CommitThenHang, false, 1},
		{fault.CutAfterCommit, false, 1}, {fault.Garbled, false, 1}, {fault.Truncated, false, 1},
	} {
		t.Run(string(x.kind), func(t *testing.T) {
			c := c
			c.TB = t
			order := fmt.Sprintf("IH%d", i)
			jzid := at(c.want("payment", pay(order, "B"+order, "1.00", "0", ""), "<JZID>*</JZID><CZSJ>*</CZSJ><KPBZ>0</KPBZ>"), "JZID")
			c.add(fault.Rule{Fault: x.kind, Operation: "zl_third_payment", Key: order, Times: 1, Delay: fault.Delay(30 * time.Millisecond)})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := c.call(ctx, "payment", pay(order, "B"+order, "1.00", "1", jzid))
			if (err == nil) != x.answered {
				t.Errorf("answered: %v", err)
			}
			n := 0
			for _, s := range c.books().Settlements {
				if s.Order == order {
					n++
				}
			}
			if n != x.books {
				t.Errorf("booked %d times, want %d", n, x.books)
			}
		})
	}
	// charge_del is no charge_delcheck.
	c.add(fault.Rule{Fault: fault.CutBefore, Operation: "zl_third_charge_del"})
	c.want("charge_delcheck", back("IHR1", "", "1.00", ""), "<RESULT>true</RESULT>")
	if _, err := c.call(t.Context(), "charge_del", back("IHR1", "", "1.00", "")); err == nil {
		t.Error("charge_del was answered")
	}
	c.add(fault.Rule{Fault: fault.Down})
	if _, err := c.call(t.Context(), "systime", ""); err == nil {
		t.Error("answered although it is down")
	}
	if err := c.his.ClearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.db.Reset()
	c.want("systime", "", "<XTSJ>*</XTSJ>")
}
