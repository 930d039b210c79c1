package books

import (
	"fmt"
	"strings"
	"testing"
)

func yes() *bool { v := true; return &v }

func opened(t *testing.T) *Books {
	t.Helper()
	b := New(Refuse)
	b.Save(Prescription{No: "RX1", AmountFen: 100, Lines: []Line{{No: 1, AmountFen: 100}}})
	b.SaveOrder(Order{No: "AP1", AmountFen: 100, Lines: []Line{{No: 1, AmountFen: 100}}})
	for _, s := range []Settlement{
		{Order: "IH1", Channel: "wx", ChannelNo: "42", Operator: "net07", Bills: []string{"RX1"}, AmountFen: 100, PaidAt: "2026-01-05 23:59:58"},
		{Order: "IH2", Channel: "zfb", ChannelNo: "20", Operator: "net08", AmountFen: 300, PaidAt: "2026-01-05 10:00:00"},
	} {
		if r := b.Settle(s); r.Effect != Done {
			t.Fatal(r)
		}
	}
	if r := b.Refund(Refund{No: "IHR2", Order: "IH2", Operator: "net08", AmountFen: 50, RefundedAt: "2026-01-05 11:00:00"}, ""); r.Effect != Done {
		t.Fatal(r)
	}
	return b
}

// shown is the ledger of a day, one word a row.
func shown(b *Books, q Asked) string {
	var out []string
	for _, r := range b.Ledger(q) {
		kind := "+"
		if r.Refund {
			kind = "-"
		}
		if r.Reversal {
			kind = "~"
		}
		if r.Registration {
			kind = "g" + kind
		}
		out = append(out, fmt.Sprintf("%s%s/%s:%d", kind, r.Order, r.RefundNo, r.AmountFen))
	}
	return strings.Join(out, " ")
}

func TestTheLedgerIsAskedByDayOperatorAndChannel(t *testing.T) {
	b := opened(t)
	for _, c := range []struct {
		asked Asked
		want  string
	}{
		{Asked{Day: "2026-01-05"}, "+IH1/:100 +IH2/:300 -IH2/IHR2:50"},
		{Asked{Day: "2026-01-05", Operator: "net08"}, "+IH2/:300 -IH2/IHR2:50"},
		{Asked{Day: "2026-01-05", Channel: "wx"}, "+IH1/:100"},
		{Asked{Day: "2026-01-05", Clock: true}, ""},
		{Asked{Day: "2026-01-06"}, ""},
	} {
		if got := shown(b, c.asked); got != c.want {
			t.Errorf("%+v: %s, want %s", c.asked, got, c.want)
		}
	}
	if got := b.LedgerTotals(Asked{Day: "2026-01-05"}); got != (Totals{2, 1, 400, 50}) {
		t.Errorf("totals %+v", got)
	}
}

func TestEdits(t *testing.T) {
	amount := int64(101)
	for _, c := range []struct {
		name string
		edit Edit
		want string
	}{
		{"remove", Edit{Settlement: "IH1", Remove: true}, "+IH2/:300 -IH2/IHR2:50"},
		{"amount", Edit{Settlement: "IH1", AmountFen: &amount}, "+IH1/:101 +IH2/:300 -IH2/IHR2:50"},
		{"date", Edit{Settlement: "IH1", Date: "2026-01-06 00:00:03"}, "+IH2/:300 -IH2/IHR2:50"},
		{"operator", Edit{Settlement: "IH1", Operator: "net09"}, "+IH1/:100 +IH2/:300 -IH2/IHR2:50"},
		{"duplicate", Edit{Settlement: "IH1", Duplicate: true}, "+IH1/:100 +IH2/:300 +IH1/:100 -IH2/IHR2:50"},
		{"reverse", Edit{Settlement: "IH1", Reverse: true}, "+IH1/:100 +IH2/:300 -IH2/IHR2:50 ~IH1/:100"},
		{"remove a refund", Edit{Refund: "IHR2", Remove: true}, "+IH1/:100 +IH2/:300"},
		{"date a refund", Edit{Refund: "IHR2", Date: "2026-01-04 11:00:00"}, "+IH1/:100 +IH2/:300"},
		{"duplicate a refund", Edit{Refund: "IHR2", Duplicate: true}, "+IH1/:100 +IH2/:300 -IH2/IHR2:50 -IH2/IHR2:50"},
		{"free registration", Edit{Add: &Settlement{Order: "G1", Registration: true, PaidAt: "2026-01-05 08:00:00"}}, "+IH1/:100 +IH2/:300 g+G1/:0 -IH2/IHR2:50"},
		{"a reversed pair", Edit{AddReversed: &Settlement{Order: "X1", AmountFen: 7, PaidAt: "2026-01-05 08:00:00"}}, "+IH1/:100 +IH2/:300 +X1/:7 -IH2/IHR2:50 ~X1/:7"},
		{"window refund", Edit{AddRefund: &Refund{Order: "IH2", AmountFen: 20, RefundedAt: "2026-01-05 15:00:00"}}, "+IH1/:100 +IH2/:300 -IH2/IHR2:50 -IH2/:20"},
		{"twice", Edit{Twice: yes()}, "+IH1/:100 +IH1/:100 +IH2/:300 +IH2/:300 -IH2/IHR2:50 -IH2/IHR2:50"},
	} {
		b := opened(t)
		if err := b.Edit(c.edit); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := shown(b, Asked{Day: "2026-01-05"}); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestWhatTheWindowGaveBackIsOfTheSameAccount(t *testing.T) {
	b := opened(t)
	if err := b.Edit(Edit{AddRefund: &Refund{Order: "IH2", AmountFen: 250, RefundedAt: "2026-01-05 15:00:00"}}); err != nil {
		t.Fatal(err)
	}
	rows := b.Ledger(Asked{Day: "2026-01-05", Operator: "net08"})
	last := rows[len(rows)-1]
	if last.RefundNo != "" || last.ChannelNo != "20" || last.Channel != "zfb" || !strings.HasPrefix(last.HisNo, "W") {
		t.Errorf("got %+v", last)
	}
	if r := b.Refund(Refund{No: "IHR3", Order: "IH2", AmountFen: 1}, ""); r.Effect != Refused {
		t.Errorf("more was given back than was paid: %+v", r)
	}
}

func TestWhatIsReversedCannotBeGivenBack(t *testing.T) {
	b := opened(t)
	if err := b.Edit(Edit{Settlement: "IH1", Reverse: true}); err != nil {
		t.Fatal(err)
	}
	if r := b.Refund(Refund{No: "IHR9", Order: "IH1", AmountFen: 1}, ""); r.Effect != Refused {
		t.Errorf("got %+v", r)
	}
}

func TestTheClockStandsWhereItIsPut(t *testing.T) {
	b := opened(t)
	at := "2026-01-04 23:59:58"
	if err := b.Edit(Edit{Clock: &at}); err != nil {
		t.Fatal(err)
	}
	b.Settle(Settlement{Order: "IH3", AmountFen: 5, PaidAt: "2026-01-05 00:00:01"})
	if got := shown(b, Asked{Day: "2026-01-04", Clock: true}); got != "+IH3/:5" {
		t.Errorf("by the hospital's clock: %s", got)
	}
	goes := ""
	if err := b.Edit(Edit{Clock: &goes}); err != nil {
		t.Fatal(err)
	}
	b.Settle(Settlement{Order: "IH4", AmountFen: 5, PaidAt: "2026-01-04 01:00:00"})
	if got := shown(b, Asked{Day: "2026-01-04", Clock: true}); got != "+IH3/:5" {
		t.Errorf("the clock still stands: %s", got)
	}
}

func TestStatesOfPrescriptionsAndOrders(t *testing.T) {
	b := opened(t)
	for _, e := range []Edit{{Prescription: "RX1", State: Dispensed}, {Order: "AP1", State: Performed}} {
		if err := b.Edit(e); err != nil {
			t.Fatal(err)
		}
	}
	if p, _ := b.Prescription("RX1"); p.State != Dispensed {
		t.Errorf("the prescription is %s", p.State)
	}
	if r := b.Void("RX1", ""); r.Effect != Refused {
		t.Errorf("a dispensed prescription was voided: %+v", r)
	}
	if r := b.CancelOrder("AP1"); r.Effect != Refused {
		t.Errorf("a performed order was cancelled: %+v", r)
	}
	if err := b.Edit(Edit{Prescription: "RX1", State: Voided}); err != nil || len(b.Export().Voids) != 1 {
		t.Errorf("voided in the hospital: %v %v", err, b.Export().Voids)
	}
}

func TestEditsThatSayNothingOrTooMuch(t *testing.T) {
	b, amount, noTime := opened(t), int64(1), "soon"
	for _, e := range []Edit{
		{}, {Settlement: "IH1"}, {Settlement: "IH1", Remove: true, AmountFen: &amount}, {Settlement: "IH1", Refund: "IHR2", Remove: true},
		{Settlement: "nobody", Remove: true}, {Refund: "nobody", Remove: true}, {Refund: "IHR2", Reverse: true}, {Settlement: "IH1", State: Voided},
		{Settlement: "IH1", Date: "tomorrow"}, {Clock: &noTime}, {Prescription: "RX1"}, {Prescription: "RX1", State: Performed}, {Prescription: "RX9", State: Voided},
		{Order: "AP1", State: Dispensed}, {Order: "AP9", State: Voided}, {Add: &Settlement{Order: "X"}}, {Add: &Settlement{AmountFen: 1}},
		{AddReversed: &Settlement{Order: "X"}}, {AddRefund: &Refund{Order: "IH1"}}, {AddRefund: &Refund{Order: "nobody", AmountFen: 1}},
		{Add: &Settlement{Order: "X", AmountFen: 1}, Remove: true}, {Twice: yes(), Remove: true}, {Add: &Settlement{Order: "X", AmountFen: 1, PaidAt: "now"}},
	} {
		if err := b.Edit(e); err == nil {
			t.Errorf("taken: %+v", e)
		}
	}
	if got := shown(b, Asked{Day: "2026-01-05"}); got != "+IH1/:100 +IH2/:300 -IH2/IHR2:50" {
		t.Errorf("the books became %s", got)
	}
}
