package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/reconcile"
)

// paid is a payment message at an hour of the day.
func paid(order string, at time.Time) core.Message {
	m := payment(order, order)
	m.Body.(*core.Payment).PaidAt = at
	return m
}

func refund(no, order string, amount core.Fen, at time.Time) core.Message {
	return core.Message{Kind: core.RefundCreate, Lane: no, Body: &core.Refund{RefundNo: no, OrderID: order, PatientNo: "P1", Amount: amount, Paid: 1200, Channel: "wechat",
		ChannelNo: "wx" + order, ChannelRefundNo: "wx" + no, Reason: "stopped", RefundedAt: at}}
}

func payBack(no, order string, amount core.Fen, at time.Time) core.Message {
	return core.Message{Kind: core.PayBack, Body: &core.ChannelRefund{RefundNo: no, OrderID: order, Amount: amount, Paid: 1200, Channel: "wechat",
		ChannelNo: "wx" + order, Reason: "stopped", AskedAt: at}}
}

func recorded(no, order string, amount core.Fen, at time.Time) core.Message {
	return core.Message{Kind: core.RecordMoney, Body: &core.LedgerRecord{Type: core.EntryRefund, Number: no, OrderID: order, Amount: amount, Channel: "wechat",
		ChannelNo: "wx" + no, At: at, Reason: "the HIS refused it for good"}}
}

// settleAs claims until it has this message and ends it so.
func (l *ledger) settleAs(id int64, s delivery.State, change func(*delivery.Next)) {
	l.tb.Helper()
	for _, d := range l.claim(100) {
		n := next(&d, delivery.Queued)
		if d.ID == id {
			n = next(&d, s)
			if change != nil {
				change(&n)
			}
		}
		l.sent(&d)
		l.settle(&d, n)
	}
	l.exec(`update hub.queue set due = clock_timestamp()`)
}

func (l *ledger) oursOf() []reconcile.Entry {
	l.tb.Helper()
	all, err := collect(l.Ours(l.ctx, "h1", dawn, dawn.AddDate(0, 0, 1)))
	l.must(err)
	return all
}

func receipt(no string) func(*delivery.Next) {
	return func(n *delivery.Next) { n.Receipt = &core.Receipt{HisNo: no} }
}

func TestOurLedgerOfADay(t *testing.T) {
	l := newLedger(t)
	a1 := l.enqueue(paid("A1", dawn))
	l.enqueue(paid("A2", dawn.Add(-time.Second)))
	l.enqueue(paid("A3", dawn.AddDate(0, 0, 1)))
	test := paid("A4", dawn.Add(time.Hour))
	test.Test = true
	l.enqueue(test)
	f1 := l.enqueue(refund("F1", "A1", 200, dawn.Add(2*time.Hour)))
	reversal := refund("F2", "A9", 300, dawn.Add(3*time.Hour))
	reversal.Body.(*core.Refund).Reversal = true
	f2 := l.enqueue(reversal)
	r1 := l.enqueue(core.Message{Kind: core.AppointmentPay, Body: &core.AppointmentPayment{OrderID: "R1", PatientNo: "P1", Amount: 1500, Channel: "alipay", ChannelNo: "aliR1", PaidAt: dawn.Add(4 * time.Hour)}})
	cancel := &core.AppointmentCancelling{OrderID: "R1", PatientNo: "P1", RefundNo: "RF1", Amount: 1500, Channel: "alipay", ChannelNo: "aliR1", ChannelRefundNo: "aliRF1", Reason: "ill", CancelledAt: dawn.Add(5 * time.Hour)}
	rf1 := l.enqueue(core.Message{Kind: core.AppointmentCancel, Body: cancel})
	l.enqueue(core.Message{Kind: core.AppointmentCancel, Body: &core.AppointmentCancelling{OrderID: "R2", PatientNo: "P1", Reason: "ill", CancelledAt: dawn.Add(5 * time.Hour)}})
	l.settleAs(a1, delivery.Delivered, receipt("H1"))
	want := []reconcile.Entry{
		{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "A1", HisNo: "H1", ChannelNo: "wxA1", Channel: "wechat", Amount: 1200, At: dawn, Bill: "B1"},
			Business: reconcile.Outpatient, Message: a1, Told: delivery.Delivered},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: "F1", OrderID: "A1", ChannelNo: "wxF1", Channel: "wechat", Amount: 200, At: dawn.Add(2 * time.Hour)},
			Business: reconcile.Outpatient, Message: f1, Told: delivery.Queued},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: "F2", OrderID: "A9", ChannelNo: "wxF2", Channel: "wechat", Amount: 300, At: dawn.Add(3 * time.Hour), Reversal: true},
			Business: reconcile.Outpatient, Message: f2, Told: delivery.Queued, NoChannel: true},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryPayment, Number: "R1", ChannelNo: "aliR1", Channel: "alipay", Amount: 1500, At: dawn.Add(4 * time.Hour)},
			Business: reconcile.Registration, Message: r1, Told: delivery.Queued},
		{LedgerEntry: core.LedgerEntry{Type: core.EntryRefund, Number: "RF1", OrderID: "R1", ChannelNo: "aliRF1", Channel: "alipay", Amount: 1500, At: dawn.Add(5 * time.Hour)},
			Business: reconcile.Registration, Message: rf1, Told: delivery.Queued},
	}
	if diff := cmp.Diff(want, l.oursOf(), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("ours: %s", diff)
	}
	booked, err := l.Booked(l.ctx, "h1", dawn, dawn.AddDate(0, 0, 1))
	if err != nil || len(booked) != 5 {
		t.Errorf("booked: %+v %v", booked, err)
	}
}

// A record of money is done when it is accepted, and a repeated one is the same.
func TestRecordOfMoneyIsDoneAtOnce(t *testing.T) {
	cannot := func(o *Options) { o.Can = func(_ string, k core.Kind) bool { return k == core.PaymentSettle } }
	l := newLedger(t, cannot)
	m := recorded("F1", "A1", 1200, dawn)
	got, err := l.EnqueueAs(l.ctx, "h1", m, EnqueueOptions{Announce: true})
	l.must(err)
	if s := l.state(got.ID); s != delivery.Delivered {
		t.Errorf("it is %s", s)
	}
	l.none()
	if again, err := l.Enqueue(l.ctx, "h1", m); err != nil || !again.Duplicate || again.ID != got.ID {
		t.Errorf("again: %+v %v", again, err)
	}
	var conflict *core.Conflict
	if _, err := l.Enqueue(l.ctx, "h1", recorded("F1", "A1", 1100, dawn)); !errors.As(err, &conflict) {
		t.Errorf("with another amount: %v", err)
	}
	if types, _ := l.events(""); len(types) != 1 {
		t.Errorf("events: %v", types)
	}
	ours := l.oursOf()
	if len(ours) != 1 || ours[0].Number != "F1" || ours[0].OrderID != "A1" || !ours[0].NoHIS || ours[0].Told != delivery.Delivered {
		t.Errorf("ours: %+v", ours)
	}
	if _, err := l.Enqueue(l.ctx, "h1", payBack("F2", "A1", 100, dawn)); !errors.Is(err, core.ErrCannot) {
		t.Errorf("a channel that the hospital does not have: %v", err)
	}
	// A record shares its lane with what waits, and is in nobody's way.
	p := payment("A9", "A9")
	r := core.Message{Kind: core.RecordMoney, Lane: "A9", Body: &core.LedgerRecord{Type: core.EntryPayment, Number: "A9x", Amount: 5, Channel: "wechat", ChannelNo: "wx", At: dawn, Reason: "twice"}}
	e1, err := l.enqueueing("h1", r, EnqueueOptions{})
	l.must(err)
	e2, err := l.enqueueing("h1", p, EnqueueOptions{})
	l.must(err)
	rs, err := l.acceptAll(l.ctx, []enqueueing{e1, e2})
	l.must(err)
	l.one(rs[1].id)
}

func TestOnlyTheHubTellsAChannel(t *testing.T) {
	l := newLedger(t)
	var problems core.Problems
	if _, err := l.EnqueueAs(l.ctx, "h1", payBack("F1", "A1", 100, dawn), EnqueueOptions{}); !errors.As(err, &problems) {
		t.Errorf("from elsewhere: %v", err)
	}
	l.enqueue(payBack("F1", "A1", 100, dawn))
}

func TestRefundOfAChannelLearnsItsNumber(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payBack("F1", "A1", 1200, dawn.Add(time.Hour)))
	if ours := l.oursOf(); len(ours) != 1 || !ours[0].NoHIS || ours[0].ChannelNo != "" || ours[0].OrderID != "A1" || ours[0].Told != delivery.Queued {
		t.Errorf("before: %+v", ours)
	}
	l.settleAs(id, delivery.Delivered, receipt("50001"))
	ours := l.oursOf()
	if len(ours) != 1 || ours[0].ChannelNo != "50001" || ours[0].HisNo != "" || !ours[0].At.Equal(dawn.Add(time.Hour)) {
		t.Errorf("after: %+v", ours)
	}
}

// One refund is one entry, by whichever of its messages came first.
func TestOneRefundIsOneEntry(t *testing.T) {
	l := newLedger(t)
	// The channel first, then the HIS is told.
	l.enqueue(payBack("F1", "A1", 200, dawn))
	f1 := l.enqueue(refund("F1", "A1", 200, dawn))
	// The other way round.
	f2 := l.enqueue(refund("F2", "A1", 300, dawn.Add(time.Minute)))
	l.enqueue(payBack("F2", "A1", 300, dawn.Add(time.Minute)))
	// The channel, and a record that the HIS is not told.
	l.enqueue(payBack("F3", "A1", 400, dawn.Add(2*time.Minute)))
	f3 := l.enqueue(recorded("F3", "A1", 400, dawn.Add(2*time.Minute)))
	// A window's, of which the channel was told first.
	l.enqueue(payment("A1", "A1"))
	l.enqueue(payBack("F4", "A1", 100, dawn.Add(3*time.Minute)))
	window := func(hisNo, number string, w core.WindowRefund) int64 {
		t.Helper()
		w.HisRefundNo, w.Amount = hisNo, 100
		fact := inbound.Fact{Hospital: "h1", Zone: time.UTC, Kind: core.RefundApply, Body: &w}
		in, err := l.Arrive(l.ctx, fact, []byte(hisNo), nil)
		l.must(err)
		_, err = l.Decide(l.ctx, in.ID, fact, core.Resolution{State: core.ResultDone, Answer: &core.Receipt{Number: number}})
		l.must(err)
		return in.ID
	}
	f4 := window("TF4", "F4", core.WindowRefund{OrderID: "A1", At: dawn.Add(9 * time.Hour)})
	// A window's first, known by the channel's number of the payment only.
	f5 := window("TF5", "F5", core.WindowRefund{ChannelNo: "wxA1", At: dawn.Add(4 * time.Minute)})
	l.enqueue(payBack("F5", "A1", 100, dawn.Add(4*time.Minute)))
	// Of a payment that is none of ours.
	f6 := window("TF6", "F6", core.WindowRefund{OrderID: "X1", At: dawn.Add(5 * time.Minute)})

	type line struct {
		number, order, his string
		channel            core.Channel
		message            int64
		noHIS              bool
	}
	var got []line
	for _, e := range l.oursOf() {
		if e.Type == core.EntryRefund {
			got = append(got, line{e.Number, e.OrderID, e.HisNo, e.Channel, e.Message, e.NoHIS})
		}
	}
	want := []line{
		{"F1", "A1", "", "wechat", f1, false}, {"F2", "A1", "", "wechat", f2, false}, {"F3", "A1", "", "wechat", f3, true},
		{"F4", "A1", "TF4", "wechat", f4, false}, {"F5", "A1", "TF5", "wechat", f5, false}, {"F6", "X1", "TF6", "", f6, false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("refunds: %s", diff)
	}
}

// The HIS need not have a payment that it refused for good once all of it went back.
func TestRefusedAndPaidBackNeedNotBeAtTheHIS(t *testing.T) {
	l := newLedger(t)
	a1 := l.enqueue(paid("A1", dawn))
	l.settleAs(a1, delivery.Cancelled, func(n *delivery.Next) { n.RefundNow = true })
	noHIS := func() bool {
		t.Helper()
		for _, e := range l.oursOf() {
			if e.Number == "A1" {
				return e.NoHIS
			}
		}
		t.Fatal("A1 is not ours")
		return false
	}
	if noHIS() {
		t.Error("before any money went back")
	}
	l.enqueue(recorded("F1", "A1", 700, dawn))
	if noHIS() {
		t.Error("when some of it went back")
	}
	back := l.enqueue(payBack("F2", "A1", 500, dawn))
	if !noHIS() {
		t.Error("when all of it went back")
	}
	_, err := l.Cancel(l.ctx, back, "finance", "")
	l.must(err)
	if noHIS() {
		t.Error("when the channel's refund was cancelled")
	}
	// A payment that the HIS has stays its business.
	a2 := l.enqueue(paid("A2", dawn))
	l.settleAs(a2, delivery.Delivered, nil)
	l.enqueue(recorded("F3", "A2", 1200, dawn))
	for _, e := range l.oursOf() {
		if e.Number == "A2" && e.NoHIS {
			t.Error("a delivered payment")
		}
	}
}

func TestRecords(t *testing.T) {
	l := newLedger(t)
	prescription := func(no string) core.Message {
		return core.Message{Kind: core.PrescriptionCreate, Lane: no, Body: prescribed(no)}
	}
	before, err := l.Now(l.ctx)
	l.must(err)
	ids := map[string]int64{}
	for _, no := range []string{"RX1", "RX2", "RX3", "RX4", "RX5"} {
		ids[no] = l.enqueue(prescription(no))
	}
	test := prescription("RX9")
	test.Test = true
	l.enqueue(test)
	l.settleAs(ids["RX1"], delivery.Delivered, receipt("H1"))
	void := l.enqueue(voiding("RX2", "RX2"))
	for _, key := range []string{"RX3", "RX4"} {
		_, err := l.Arrive(l.ctx, inbound.Fact{Hospital: "h1", Kind: core.DrugsDispensed, Body: &core.DispenseNotice{No: key}}, []byte(key), &core.Resolution{State: core.ResultDone})
		l.must(err)
	}
	_, err = l.Arrive(l.ctx, inbound.Fact{Hospital: "h1", Kind: core.DrugsDispensed, Body: &core.DispenseNotice{No: "RX4", Returned: true}}, []byte("r"), &core.Resolution{State: core.ResultDone})
	l.must(err)
	// Of an earlier day, and taken back now.
	l.exec(`update hub.body b set accepted_at = b.accepted_at - interval '1 second' where b.message = $1`, ids["RX5"])
	l.exec(`update hub.message set accepted_at = accepted_at - interval '1 second' where id = $1`, ids["RX5"])
	after, err := l.Now(l.ctx)
	l.must(err)
	all, err := l.Records(l.ctx, "h1", before, after)
	l.must(err)
	type line struct {
		number, told string
		void         int64
		voidTold     string
		stage        core.Stage
	}
	var got []line
	for _, p := range all {
		got = append(got, line{p.Number, p.Told, p.Void, p.VoidTold, p.Stage})
		if p.Type != reconcile.EntryPrescription || p.VisitNo != "V1" || p.PatientNo != "P1" || p.Amount == 0 || p.Message != ids[p.Number] {
			t.Errorf("%+v", p)
		}
	}
	want := []line{{"RX1", "delivered", 0, "", core.StageActive}, {"RX2", "queued", void, "queued", core.StageVoided},
		{"RX3", "queued", 0, "", core.StageDispensed}, {"RX4", "queued", 0, "", core.StageReturned}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("records: %s", diff)
	}
	l.enqueue(voiding("RX5", "RX5"))
	after, err = l.Now(l.ctx)
	l.must(err)
	all, err = l.Records(l.ctx, "h1", before, after)
	if err != nil || len(all) != 5 || all[0].Number != "RX5" || all[0].Stage != core.StageVoided {
		t.Errorf("with one that was taken back: %+v %v", all, err)
	}
}

// prescribed is a valid prescription of 12.00 yuan.
func prescribed(no string) *core.Prescription {
	return &core.Prescription{
		No: no, VisitNo: "V1", PatientNo: "P1", PatientName: "张三测试", Sex: "male", BirthDate: "1990-01-01", DepartmentCode: "D1", DoctorCode: "DR1",
		PharmacistCode: "PH1", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "cold"}},
		Items:  []core.Item{{Code: "I1", Name: "drug", Qty: "2", Unit: "box", UnitPrice: "6.00", Amount: 1200, Dose: "1", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3}},
		Amount: 1200, WrittenAt: dawn, ValidUntil: dawn.Add(72 * time.Hour),
	}
}

func TestToldLate(t *testing.T) {
	l := newLedger(t)
	l.enqueue(paid("A1", dawn))
	since := count[time.Time](l, `select clock_timestamp()`)
	for name, c := range map[string]struct {
		at   time.Time
		test bool
		want bool
	}{
		"of the day":     {at: dawn.AddDate(0, 0, 1).Add(-time.Second), want: true},
		"the day after":  {at: dawn.AddDate(0, 0, 1)},
		"the day before": {at: dawn.Add(-time.Second)},
		"a test":         {at: dawn, test: true},
	} {
		if late, err := l.ToldSince(l.ctx, "h1", dawn, dawn.AddDate(0, 0, 1), since); err != nil || late {
			t.Fatalf("before %s: %t %v", name, late, err)
		}
		m := paid("B "+name, c.at)
		m.Test = c.test
		id := l.enqueue(m)
		if late, err := l.ToldSince(l.ctx, "h1", dawn, dawn.AddDate(0, 0, 1), since); err != nil || late != c.want {
			t.Errorf("%s: %t %v", name, late, err)
		}
		if late, err := l.ToldSince(l.ctx, "h2", dawn, dawn.AddDate(0, 0, 1), since); err != nil || late {
			t.Errorf("%s, another hospital: %t %v", name, late, err)
		}
		l.exec(`delete from hub.ledger_entry where message = $1`, id)
	}
}
