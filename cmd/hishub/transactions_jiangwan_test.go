package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/redis"
	"hishub/mapping"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/prochis"
	"hishub/mocks/servers"
)

// 江湾 keeps its books in a database, so its rows of the table stand here.

// jiangwanOperations are the procedures in which each write takes effect.
var jiangwanOperations = map[core.Kind]string{
	core.PatientRegister: "zl_third_buildpatient",
	core.AppointmentLock: "zl_third_lockno", core.AppointmentUnlock: "zl_third_lockno", core.AppointmentBook: "zl_third_regist",
	core.AppointmentPay: "zl_third_payment", core.AppointmentCancel: "zl_third_registcancel",
	core.PrescriptionCreate: "zl_third_advicesave", core.PrescriptionVoid: "zl_third_revokeoutadvice",
	core.OrderCreate: "zl_third_advicesave", core.OrderCancel: "zl_third_revokeoutadvice",
	core.PaymentSettle: "zl_third_payment", core.RefundCreate: "zl_third_charge_del",
}

type jiangwan struct {
	*rig
	his *prochis.HIS
}

func openJiangwan(t *testing.T) *jiangwan {
	t.Helper()
	his, err := prochis.Start(context.Background(), prochis.Options{DSN: servers.Postgres(t)})
	ok(t, err)
	t.Cleanup(func() { ok(t, his.Close()) })
	env := map[string]string{"JIANGWAN_DSN": his.DSN(), "JIANGWAN_LEDGER_DSN": his.DSN()}
	folder, err := mapping.Load(os.DirFS(filepath.Join("..", "..", "mapping", "hospitals", "jiangwan")), mapping.Options{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }, Open: connectors.Open,
	})
	ok(t, err)
	for name, spec := range folder.Dialect.Connectors {
		spec.Timeout = time.Second // for what never answers
		folder.Dialect.Connectors[name] = spec
	}
	client := redis.Embedded()
	t.Cleanup(func() { _ = client.Close() })
	hospital, err := openHospital(folder.Dialect, 1, redis.NewSessions(client), nil)
	ok(t, err)
	t.Cleanup(func() { _ = hospital.Close() })
	j := &jiangwan{&rig{Hospital: hospital, operations: jiangwanOperations}, his}
	schedules, _ := j.ask(core.ScheduleList, &core.DictionaryQuery{}).Verdict.Answer.(*core.Schedules)
	if schedules == nil || len(schedules.Schedules) == 0 {
		t.Fatal("there is no schedule")
	}
	j.sessions = schedules.Schedules
	return j
}

func (j *jiangwan) books(t *testing.T) books.Export {
	t.Helper()
	b, err := j.his.Books(context.Background())
	ok(t, err)
	return b
}

func (j *jiangwan) strikes(t *testing.T, rules ...fault.Rule) {
	t.Helper()
	ok(t, j.his.AddFaults(context.Background(), rules))
}

func TestJiangwanTransactions(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	for k, w := range deeds {
		operation := j.operations[w.kind]
		if (operation == "") != (j.Operations[w.kind] == nil) {
			t.Errorf("%s is in one of folder and table only", w.kind)
		}
		if operation == "" {
			continue
		}
		for i, way := range ways {
			t.Run(string(w.kind)+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				id := fmt.Sprintf("T%02d%d", k, i)
				body := w.body(t, j.rig, id)
				if way.fault != "" {
					j.strikes(t, fault.Rule{Fault: way.fault, Operation: operation, Key: id, Times: 1})
				}
				n := j.deliver(t, w.kind, body)
				if way.again && n.State == delivery.Delivered {
					first := n.Receipt
					if n = j.deliver(t, w.kind, body); first != nil && n.Receipt != nil && n.Receipt.HisNo != "" && first.HisNo != n.Receipt.HisNo {
						t.Errorf("told again, it has another number: %s, then %s", first.HisNo, n.Receipt.HisNo)
					}
				}
				if n.State != way.state {
					t.Errorf("%s, %s (%s), want %s", n.State, n.Because, n.Words, way.state)
				}
				if way.fault == fault.Reject && n.Words != fault.RejectWords {
					t.Errorf("the HIS's words are %q, want %q", n.Words, fault.RejectWords)
				}
				b := j.books(t)
				if booked := w.booked(b, id); booked != way.booked {
					t.Errorf("the books have it %d times, want %d", booked, way.booked)
				}
				if way.fault != "" && !struck(b.Journal, way.fault, operation, id) {
					t.Errorf("the fault %s did not strike", way.fault)
				}
			})
		}
	}
}

// confirming is in the request that confirms a settlement, and in no other.
const confirming = "<CZLX>1</CZLX><JZID>J"

func TestJiangwanConfirms(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	for i, way := range ways {
		if way.fault == "" {
			continue
		}
		t.Run(way.name, func(t *testing.T) {
			id := fmt.Sprintf("C%d", i)
			body := paymentOf(t, j.rig, id)
			j.strikes(t, fault.Rule{Fault: way.fault, Operation: "zl_third_payment", Key: confirming, Times: 1})
			n := j.deliver(t, core.PaymentSettle, body)
			if n.State != way.state {
				t.Errorf("%s, %s (%s), want %s", n.State, n.Because, n.Words, way.state)
			}
			b := j.books(t)
			if booked := settled(b, id); booked != way.booked {
				t.Errorf("the books have it %d times, want %d", booked, way.booked)
			}
			undone := count(b.Journal, func(e books.Entry) bool { return e.Key == id && e.Effect == "undone" })
			if want := 1 - way.booked; undone != want {
				t.Errorf("the beginning was taken back %d times, want %d", undone, want)
			}
		})
	}

	// The undo's own answer is lost: it is harmless to repeat.
	body := paymentOf(t, j.rig, "UNDO")
	j.strikes(t, fault.Rule{Fault: fault.Reject, Operation: "zl_third_payment", Key: confirming, Times: 1},
		fault.Rule{Fault: fault.CutAfterCommit, Operation: "zl_third_payment", Key: "<CZLX>2</CZLX>", Times: 1})
	if n := j.deliver(t, core.PaymentSettle, body); n.State != delivery.Parked || n.Class != core.Rejected {
		t.Errorf("%s, %s", n.State, n.Because)
	}
	if b := j.books(t); settled(b, "UNDO") != 0 || !struck(b.Journal, fault.CutAfterCommit, "zl_third_payment", "<CZLX>2") {
		t.Error("the undo did not meet its fault, or money is booked")
	}
	// Its bill can be paid by another order; a third finds it paid and asks a person.
	pay := *body.(*core.Payment)
	pay.OrderID, pay.ChannelNo = "UNDO2", "42UNDO2"
	j.must(t, core.PaymentSettle, &pay)
	pay.OrderID, pay.ChannelNo = "UNDO3", "42UNDO3"
	if n := j.deliver(t, core.PaymentSettle, &pay); n.State != delivery.Parked || settled(j.books(t), "UNDO3") != 0 {
		t.Errorf("a bill that is paid, paid again: %s, %s", n.State, n.Because)
	}
}

func TestJiangwanHoldsAnotherAmount(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	p := paymentOf(t, j.rig, "OTHER").(*core.Payment)
	j.must(t, core.PaymentSettle, p)
	other := *p
	other.Amount++
	if n := j.deliver(t, core.PaymentSettle, &other); n.State != delivery.Parked {
		t.Errorf("%s, %s, want parked", n.State, n.Because)
	}
	if b := j.books(t); settled(b, "OTHER") != 1 {
		t.Error("not booked once")
	}
}

func TestJiangwanRefundsLines(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	paid := j.must(t, core.PaymentSettle, paymentOf(t, j.rig, "L1"))
	bill := j.must(t, core.PrescriptionCreate, prescriptionOf("L1")).HisNo
	back := func(no string, amount core.Fen, lines ...core.RefundLine) *core.Refund {
		return &core.Refund{RefundNo: no, OrderID: "L1", VisitNo: "VL1", PatientNo: patientNo, HisNo: paid.HisNo, Amount: amount, Paid: 4619,
			Channel: "wechat", ChannelNo: "42L1", ChannelRefundNo: "50" + no, Reason: "缺药", RefundedAt: paidAt.Add(time.Hour), Lines: lines}
	}
	second := core.RefundLine{BillNo: bill, LineNo: "2", Amount: 2469}
	for _, x := range []struct {
		name   string
		refund *core.Refund
		rule   fault.Rule
		state  delivery.State
		words  string
	}{
		{"a line that is not there", back("R1", 100, core.RefundLine{BillNo: bill, LineNo: "3", Amount: 100}), fault.Rule{}, delivery.Parked, "单据" + bill + "没有该收费明细"},
		{"another amount than the line's", back("R2", 100, core.RefundLine{BillNo: bill, LineNo: "1", Amount: 100}), fault.Rule{}, delivery.Parked, "退费明细与总额不符"},
		{"the check is lost", back("R3", 2469, second), fault.Rule{Fault: fault.CutBefore, Operation: "zl_third_charge_delcheck", Times: 1}, delivery.Delivered, ""},
		{"a line that went back", back("R4", 2469, second), fault.Rule{}, delivery.Parked, ""},
		{"the rest, without lines", back("R5", 2150), fault.Rule{}, delivery.Delivered, ""},
		{"more than is left", back("R6", 1), fault.Rule{}, delivery.Parked, "退费金额超过已收金额"},
	} {
		if x.rule.Fault != "" {
			j.strikes(t, x.rule)
		}
		if n := j.deliver(t, core.RefundCreate, x.refund); n.State != x.state || n.Words != x.words {
			t.Errorf("%s: %s %q, %s", x.name, n.State, n.Words, n.Because)
		}
	}
	b := j.books(t)
	if len(b.Refunds) != 2 || b.Settlements[0].RefundedFen != 4619 || !slices.Equal(b.Refunds[0].Lines, []books.RefundLine{{Bill: bill, No: "2", AmountFen: 2469}}) {
		t.Errorf("refunds %+v of %+v", b.Refunds, b.Settlements)
	}
	checked := count(b.Journal, func(e books.Entry) bool { return e.Operation == "zl_third_charge_delcheck" && e.Effect != "none" })
	if checked != 4 {
		t.Errorf("the HIS was asked for a check %d times, want 4: only where lines are given", checked)
	}
}

func TestJiangwanCancelsWhatIsUnpaid(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	booked := j.must(t, core.AppointmentBook, bookingOf(j.place(), "U1", ""))
	cancel := &core.AppointmentCancelling{OrderID: "U1", PatientNo: patientNo, HisNo: booked.HisNo, Reason: "改期", CancelledAt: paidAt}
	j.strikes(t, fault.Rule{Fault: fault.CutAfterCommit, Operation: "zl_third_registcancel", Key: "U1", Times: 1})
	j.must(t, core.AppointmentCancel, cancel)
	if n := j.deliver(t, core.AppointmentPay, feeOf("U1", booked)); n.State != delivery.Parked || n.Words != "没有有效的挂号记录" {
		t.Errorf("a cancelled one is paid: %s %q", n.State, n.Words)
	}
	b := j.books(t)
	if len(b.Settlements) != 0 || len(b.Refunds) != 0 || count(b.Appointments, func(a books.Appointment) bool { return a.State == books.Cancelled }) != 1 {
		t.Errorf("%+v", b)
	}
}

func TestJiangwanQuestions(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	rx := prescriptionOf("Q1")
	saved := j.must(t, core.PrescriptionCreate, rx)
	j.must(t, core.OrderCreate, func() *core.Order { o := orderOf("Q2"); o.VisitNo = rx.VisitNo; return o }())

	bills := answerOf[*core.Bills](t, j, core.BillUnpaid, &core.BillQuery{VisitNo: rx.VisitNo, PatientNo: patientNo}).Bills
	if len(bills) != 2 || bills[0].BillNo != saved.HisNo || bills[0].PrescriptionNo != "Q1" || bills[0].Amount != 4619 || bills[0].Title != "西药费" ||
		len(bills[0].Lines) != 2 || bills[0].Lines[0].Name != "阿莫西林]]>&胶囊" || bills[0].Lines[0].UnitPrice != "1.7917" || bills[1].Amount != 2000 {
		t.Errorf("bills %+v", bills)
	}
	paid := j.must(t, core.PaymentSettle, &core.Payment{OrderID: "Q1", VisitNo: rx.VisitNo, PatientNo: patientNo, Bills: []string{bills[0].BillNo, bills[1].BillNo}, Amount: 6619, Channel: "alipay", ChannelNo: "42Q1", PaidAt: paidAt})
	j.must(t, core.RefundCreate, &core.Refund{RefundNo: "RQ1", OrderID: "Q1", VisitNo: rx.VisitNo, PatientNo: patientNo, HisNo: paid.HisNo, Amount: 1000, Paid: 6619, Channel: "alipay", ChannelNo: "42Q1",
		ChannelRefundNo: "50Q1", Reason: "缺药", RefundedAt: paidAt.Add(time.Hour)})
	if none := answerOf[*core.Bills](t, j, core.BillUnpaid, &core.BillQuery{VisitNo: rx.VisitNo, PatientNo: patientNo}).Bills; len(none) != 0 {
		t.Errorf("still unpaid: %+v", none)
	}
	for _, q := range []struct {
		kind  core.Kind
		body  core.Body
		state core.State
	}{
		{core.PrescriptionStatus, &core.PrescriptionQuery{No: "Q1"}, core.StateDone}, {core.PrescriptionStatus, &core.PrescriptionQuery{No: "nobody"}, core.StateAbsent},
		{core.OrderStatus, &core.OrderQuery{No: "Q2"}, core.StateDone}, {core.OrderStatus, &core.OrderQuery{No: "nobody"}, core.StateAbsent},
		{core.PaymentStatus, &core.PaymentQuery{OrderID: "Q1"}, core.StateDone}, {core.PaymentStatus, &core.PaymentQuery{OrderID: "nobody", ChannelNo: "nobody"}, core.StateAbsent},
		{core.RefundStatus, &core.RefundQuery{RefundNo: "RQ1"}, core.StateDone}, {core.RefundStatus, &core.RefundQuery{RefundNo: "nobody"}, core.StateAbsent},
		{core.AppointmentStatus, &core.AppointmentQuery{OrderID: "nobody"}, core.StateAbsent},
	} {
		if s := answerOf[*core.Status](t, j, q.kind, q.body); s.State != q.state {
			t.Errorf("%s of %s: %s, want %s", q.kind, q.body.Key(), s.State, q.state)
		}
	}

	day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt.Truncate(24 * time.Hour), To: paidAt.Add(24 * time.Hour)}
	entries := answerOf[*core.Ledger](t, j, core.LedgerDetail, day).Entries
	if len(entries) != 2 || entries[0].Type != core.EntryPayment || entries[0].Number != "Q1" || entries[0].Amount != 6619 || !entries[0].At.Equal(paidAt) ||
		entries[1].Type != core.EntryRefund || entries[1].Number != "RQ1" || entries[1].Amount != 1000 {
		t.Errorf("ledger %+v", entries)
	}
	totals := answerOf[*core.LedgerTotals](t, j, core.LedgerTotal, day)
	if *totals != (core.LedgerTotals{Payments: "1", PaymentAmount: 6619, Refunds: "1", RefundAmount: 1000}) {
		t.Errorf("totals %+v", totals)
	}
	if none := answerOf[*core.LedgerTotals](t, j, core.LedgerTotal, &core.LedgerQuery{Day: "2026-01-04", From: day.From, To: day.To}); *none != (core.LedgerTotals{Payments: "0", Refunds: "0"}) {
		t.Errorf("totals of an empty day %+v", none)
	}

	found := answerOf[*core.Patients](t, j, core.PatientFind, &core.PatientQuery{Name: books.Known.Name, IDType: "id_card", IDNo: books.Known.IDNo}).Patients
	if len(found) != 1 || found[0].PatientNo != books.Known.PatientNo || found[0].Sex != "male" {
		t.Errorf("patients %+v", found)
	}
	if d := answerOf[*core.Departments](t, j, core.DepartmentList, &core.DictionaryQuery{}).Departments; len(d) != len(books.Departments) {
		t.Errorf("departments %+v", d)
	}
	if d := answerOf[*core.Doctors](t, j, core.DoctorList, &core.DictionaryQuery{DepartmentCode: "0900"}).Doctors; len(d) != 2 {
		t.Errorf("doctors %+v", d)
	}
	if d := answerOf[*core.Drugs](t, j, core.DrugList, &core.DictionaryQuery{}).Drugs; len(d) != len(books.Drugs) || d[0].Price == "" {
		t.Errorf("%d drugs, want %d", len(d), len(books.Drugs))
	}
	if s := answerOf[*core.Stocks](t, j, core.StockList, &core.DictionaryQuery{Code: "Y00000003803"}).Stocks; len(s) != 1 || s[0].Qty != "120" {
		t.Errorf("stocks %+v", s)
	}
	if clock := answerOf[*core.SystemTime](t, j, core.SystemTimeAsk, &core.DictionaryQuery{}).Time; time.Since(clock).Abs() > time.Minute {
		t.Errorf("the HIS's clock is %s", clock)
	}
}

// TestJiangwanHasTwoConnectors: the ledger stays readable while the procedures do not answer.
func TestJiangwanHasTwoConnectors(t *testing.T) {
	t.Parallel()
	j := openJiangwan(t)
	if a, b := j.Operations[core.PaymentSettle].Steps[0].Connector, j.Operations[core.LedgerDetail].Steps[0].Connector; a != "default" || b != "ledger" {
		t.Errorf("connectors %s and %s", a, b)
	}
	j.strikes(t, fault.Rule{Fault: fault.Hang, Operation: "zl_third_systime"})
	x := j.ask(core.SystemTimeAsk, &core.DictionaryQuery{})
	if x.Verdict.Outcome != core.OutcomeInDoubt {
		t.Errorf("the clock: %s", x.Verdict.Outcome)
	}
	day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt, To: paidAt.Add(time.Hour)}
	if l := answerOf[*core.Ledger](t, j, core.LedgerDetail, day); len(l.Entries) != 0 {
		t.Errorf("ledger %+v", l.Entries)
	}
}

// answerOf asks and wants an answer.
func answerOf[A any](t *testing.T, j *jiangwan, kind core.Kind, body core.Body) A {
	t.Helper()
	x := j.ask(kind, body)
	a, is := x.Verdict.Answer.(A)
	if !is {
		t.Fatal(errors.Join(fmt.Errorf("%s: %s", kind, x.Verdict.Outcome), x.Verdict.Err))
	}
	return a
}
