package prochis

import (
	"errors"
	"strings"
	"testing"

	"hishub/mocks/books"
)

func TestEdit(t *testing.T) {
	c := begin(t, Options{})
	c.settled("IH1", "B1", "46.19")
	sum := int64(4620)
	for _, e := range []books.Edit{
		{Settlement: "IH1", AmountFen: &sum}, {Add: &books.Settlement{Order: "X1", AmountFen: 100, Channel: "WECHAT", PaidAt: "2026-01-05 10:00:00"}},
	} {
		if err := c.his.Edit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	b := c.books()
	if len(b.Settlements) != 2 || b.Settlements[0].AmountFen != 4620 || b.Settlements[1].PaidAt != "2026-01-05 10:00:00" {
		t.Errorf("%+v", b.Settlements)
	}
	if err := c.his.Edit(t.Context(), books.Edit{Settlement: "IH1", Remove: true}); err != nil || len(c.books().Settlements) != 1 {
		t.Error(errors.Join(err, errors.New("not removed")))
	}
	if err := c.his.Edit(t.Context(), books.Edit{Refund: "IHR9", Remove: true}); err == nil {
		t.Error("removed what is not there")
	}
}

func (c caller) edit(edits ...books.Edit) {
	c.Helper()
	for _, e := range edits {
		if err := c.his.Edit(c.Context(), e); err != nil {
			c.Fatalf("%+v: %v", e, err)
		}
	}
}

func (c caller) rows(query string) string {
	c.Helper()
	var out string
	if err := c.db.QueryRow(c.Context(), "select coalesce(string_agg(row, ' '), '') from ("+query+") q(row)").Scan(&out); err != nil {
		c.Fatal(err)
	}
	return out
}

func TestTheLedgerSaysWhatARowIs(t *testing.T) {
	c := begin(t, Options{})
	at, stands, twice, amount := "2026-01-05 23:59:58", "2026-01-06 00:00:07", true, int64(31)
	c.edit(
		books.Edit{Add: &books.Settlement{Order: "PLATFORM-IH20260105000001", HisNo: "J1", Channel: "微信", ChannelNo: "42", Operator: "net07", Bills: []string{"S1", "S2"}, AmountFen: 100, PaidAt: at}},
		books.Edit{Add: &books.Settlement{Order: "G1", HisNo: "J2", Channel: "医保", ChannelNo: "YB1", Operator: "net07", Registration: true, PaidAt: at}},
		books.Edit{AddReversed: &books.Settlement{Order: "IH2", HisNo: "J3", Channel: "医保", ChannelNo: "YB2", Operator: "net08", AmountFen: 10, PaidAt: at}},
		books.Edit{AddRefund: &books.Refund{Order: "PLATFORM-IH20260105000001", HisNo: "W1", AmountFen: 30, RefundedAt: at}},
		books.Edit{AddRefund: &books.Refund{No: "IHR5", Order: "PLATFORM-IH20260105000001", HisNo: "W2", AmountFen: 20, RefundedAt: at}},
	)
	const rows = "select concat_ws('/', lx, ddh, coalesce(tkdh, '-'), jylsh, je, czy, zffs, cz, djh) from v_dz_mx where rq = '2026-01-05' order by lx, jyid"
	if got, want := c.rows(rows), "收费/ORM-IH20260105000001/-/42/1.00/net07/微信/0/S1,S2 收费/G1/-/YB1/0.00/net07/医保/0/ 收费/IH2/-/YB2/0.10/net08/医保/0/ "+
		"退费/IH2/-/YB2/-0.10/net08/医保/1 退费/ORM-IH20260105000001/-/42/-0.30/net07/微信/0 退费/ORM-IH20260105000001/IHR5/42/-0.20/net07/微信/0"; got != want {
		t.Errorf("rows\n%s\nwant\n%s", got, want)
	}
	const totals = "select concat_ws('/', czy, sfbs, sfje, tfbs, tfje) from v_dz_hz where rq = '2026-01-05' order by czy"
	if got := c.rows(totals); got != "net07/2/1.00/2/-0.50 net08/1/0.10/1/-0.10" {
		t.Errorf("totals %s", got)
	}
	if got := c.rows("select concat_ws('/', lx, jslsh, je) from v_yb_mx order by jslsh"); got != "结算/YB1/0.00 结算/YB2/0.10" {
		t.Errorf("insurance %s", got)
	}
	c.edit(books.Edit{Twice: &twice})
	if got := c.rows("select count(*)::text from v_dz_mx"); got != "12" {
		t.Errorf("%s rows", got)
	}
	twice = false
	c.edit(books.Edit{Twice: &twice}, books.Edit{Refund: "W1", AmountFen: &amount}, books.Edit{Refund: "IHR5", Remove: true}, books.Edit{Refund: "W1", Duplicate: true},
		books.Edit{Settlement: "PLATFORM-IH20260105000001", Duplicate: true}, books.Edit{Settlement: "IH2", Operator: "net07"}, books.Edit{Settlement: "G1", Date: "2026-01-06 08:00:00"})
	if got := c.rows(totals); got != "net07/3/2.10/2/-0.62 net08/0/0/1/-0.10" {
		t.Errorf("totals after the edits %s", got)
	}
	b := c.books()
	if len(b.Settlements) != 4 || !b.Settlements[1].Registration || len(b.Refunds) != 3 || !b.Refunds[0].Reversal {
		t.Errorf("books %+v %+v", b.Settlements, b.Refunds)
	}
	c.edit(books.Edit{Clock: &stands})
	c.want("systime", "", "<XTSJ>"+stands+"</XTSJ>")
	goes := ""
	c.edit(books.Edit{Clock: &goes})
	if got := c.want("systime", "", "<XTSJ>*</XTSJ>"); strings.Contains(got, stands) {
		t.Error("the clock still stands")
	}
}

func TestWhatBecomesOfAnAdviceInTheHospital(t *testing.T) {
	c := begin(t, Options{})
	if _, err := c.db.Exec(t.Context(), `insert into yz (wbdh, no, zllb, brid, xm, je, sj) values ('RX1', 'S1', '5', '1', '张三测试', 1, now()), ('AP1', 'S2', 'C', '1', '张三测试', 1, now())`); err != nil {
		t.Fatal(err)
	}
	c.edit(books.Edit{Prescription: "RX1", State: books.Dispensed}, books.Edit{Order: "AP1", State: books.Performed})
	c.want("getadvice", "<WBDH>RX1</WBDH>", "<ZT>4</ZT><WBDH>RX1</WBDH><NO>S1</NO><JE>1.00</JE>")
	c.want("getadvice", "<WBDH>AP1</WBDH>", "<ZT>4</ZT><WBDH>AP1</WBDH><NO>S2</NO><JE>1.00</JE>")
	c.refused("revokeoutadvice", "<WBDH>RX1</WBDH><ZFYY>测试</ZFYY>", "医嘱已经收费，不能作废")
	c.edit(books.Edit{Prescription: "RX1", State: books.Returned})
	c.want("getadvice", "<WBDH>RX1</WBDH>", "<ZT>5</ZT><WBDH>RX1</WBDH><NO>S1</NO><JE>1.00</JE>")
	c.edit(books.Edit{Prescription: "RX1", State: books.Voided})
	c.want("getadvice", "<WBDH>RX1</WBDH>", "<ZT>9</ZT><WBDH>RX1</WBDH><NO>S1</NO><JE>1.00</JE>")
	if err := c.his.Edit(t.Context(), books.Edit{Order: "RX1", State: books.Performed}); err == nil {
		t.Error("a prescription was taken for an order")
	}
}
