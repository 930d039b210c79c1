package main

import (
	"context"
	"testing"
	"time"

	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/paychannel"
	"hishub/platform/clinic"
	"hishub/platform/consult"
	"hishub/platform/order"
	"hishub/platform/pay"
	"hishub/platform/schedule"
)

// Finance finds why a payment is unknown, asks the channel, and the order is paid once; the
// desk's refund is approved by a person who did not propose it; the books balance. Hospital
// staff stop a session after they saw whom it hits.
func TestConsoleMoneyAndSchedules(t *testing.T) {
	d := newDay(t, false)
	d.staff()
	d.lists()
	d.arrives()
	k, a := d.unknown("jiangwan")

	b := newBrowser(t, d.address, "en-US")
	b.joins("qin", d.invited("qin", clinic.Finance))
	b.keys("gb")
	b.sees(a.No, "Unknown", "WeChat Pay was asked for it and nobody knows what came of it")
	b.settledAndAccessible("payments to decide")
	b.press(a.No)
	b.sees("Money of order "+a.OrderNo, "Nothing of this order is in the books yet.")
	b.settledAndAccessible("payment")
	b.press("Ask the channel")
	b.sees("nobody is charged twice")
	b.press("Ask the channel") // without saying why
	b.sees("Say why; it is kept in the audit")
	b.fill("Why", "the patient shows a receipt")
	b.press("Ask the channel") // the channel does not answer yet
	b.sees("asked 41 times", "Unknown")
	d.quiet(a.No)
	d.channel.ClearFaults()
	b.open("payments")
	b.press("Ask the channel")
	b.fill("Why", "their line is back")
	b.press("Ask the channel")
	b.sees("No payment and no refund waits for a person.")
	if o := awaited(d, d.patient, "/orders/"+a.OrderNo, "paid", func(o order.Order) bool { return o.State == order.Paid }); o.Amount != a.Amount {
		t.Errorf("%+v", o)
	}

	// The consultation took place, and the desk wants a part back for the patient.
	d.must(d.doctor, "POST", at("jiangwan", "/consults/"+k.No+"/accept"), object{"follow_up": true}, nil)
	d.must(d.doctor, "POST", at("jiangwan", "/consults/"+k.No+"/end"), object{"diagnosis": "急性上呼吸道感染", "advice": "多饮水"}, nil)
	var r pay.Refund
	d.must(d.cashier, "POST", at("jiangwan", "/orders/"+a.OrderNo+"/refunds"), object{"amount": 500, "reason": "服务不周"}, &r)
	b.press("Refunds")
	b.sees(r.No, "Waits for approval", "服务不周", "5.00")
	b.settledAndAccessible("refunds")
	b.press("Approve")
	b.fill("Why", "seen with the doctor")
	b.press("Approve")
	b.misses("Waits for approval")
	if booked, found := d.channel.Books().FindRefund(paychannel.WeChat, r.No); !found || booked.AmountFen != 500 {
		t.Errorf("the channel gave back %+v", booked)
	}
	b.press("Journal")
	b.sees("Channel · WeChat Pay", "Revenue · Consultation", "Refund decided")
	b.settledAndAccessible("journal")
	b.press("Trial balance")
	b.sees("Debits and credits agree.", "Until now", "By day")
	b.settledAndAccessible("trial balance")
	b.sound()

	// Who plans clinics has no business with money, and the other way round.
	c := newBrowser(t, d.address, "en-US")
	c.joins("hu", d.invited("hu", clinic.HospitalAdmin))
	c.open("payments/jiangwan/wechat/" + a.No)
	c.sees("There is no such page")
	c.misses(a.OrderNo)
	v := d.planned(2)
	place := d.ticket("first-wish", v.No)
	c.keys("gs")
	c.sees(v.Day, "2 places: 1 booked, 0 held until paid, 1 on sale.")
	c.settledAndAccessible("schedules")
	c.press("Add places")
	c.fill("How many", "3")
	c.press("Add places")
	c.sees("5 places: 1 booked, 0 held until paid, 4 on sale.")
	c.press("Stop")
	c.sees("Nothing more is sold, 1 patients are told", "Goes back (yuan)")
	c.settledAndAccessible("stop")
	c.press("Stop")
	c.sees("Say why; patients read it")
	if now := d.session(v.No); now.Stopped {
		t.Fatal("it is stopped without a reason")
	}
	c.fill("Reason", "医生临时外出")
	c.press("Stop")
	c.sees("Stopped")
	if now := d.session(v.No); !now.Stopped || now.Free != 0 {
		t.Errorf("%+v", now)
	}
	awaited(d, d.patient, "/appointments/"+place.No, "cancelled", func(a struct{ State string }) bool { return a.State == "stopped" })
	c.sound()
}

// unknown is a payment whose channel took it, said nothing, and does not answer questions;
// the payer paid.
func (d *day) unknown(hospital string) (k consult.Consult, a pay.Attempt) {
	d.Helper()
	k = d.opens(hospital)
	ok(d, d.channel.AddFaults(fault.Rule{Fault: fault.CutAfterCommit, Operation: "prepay", Times: 1}, fault.Rule{Fault: fault.CutBefore, Operation: "payment.query"}, fault.Rule{Fault: paychannel.NoticeLost}))
	d.must(d.patient, "POST", "/orders/"+k.Order+"/payments", object{"channel": "wechat", "way": "native", "version": 1}, &a)
	if a.State != pay.Undecided {
		d.Fatalf("%+v", a)
	}
	_, err := d.channel.PayTrade(paychannel.WeChat, a.No, 0)
	ok(d, err)
	d.quiet(a.No)
	return k, a
}

// quiet is as after many questions: the next one that the program asks by itself is far away.
func (d *day) quiet(no string) {
	d.Helper()
	_, err := d.clinic.database.Exec(context.Background(), `update pay.attempt set next_at = clock_timestamp() + interval '1 hour', asked = 40 where no = $1`, no)
	ok(d, err)
}

// invited is somebody who comes with an invitation to work at 江湾.
func (d *day) invited(name string, role clinic.Role) string {
	d.Helper()
	account, invitation, err := d.clinic.identity.Invite(context.Background(), clinic.Person{}, name, "测试"+name, false)
	ok(d, err)
	_, err = d.clinic.identity.GrantAtDatabase(context.Background(), account, clinic.Grant{Role: role, Hospital: "jiangwan"}, "")
	ok(d, err)
	return invitation
}

// planned is a session of the platform's own tomorrow, for nothing.
func (d *day) planned(capacity int) schedule.Session {
	d.Helper()
	tomorrow := time.Now().In(books.Zone).AddDate(0, 0, 1)
	d.must(d.admin, "PUT", at("jiangwan", "/schedule-source"), object{"source": "platform"}, nil)
	d.must(d.admin, "POST", at("jiangwan", "/templates"), object{"doctor": doctorCode, "department": "0102", "weekday": (int(tomorrow.Weekday())+6)%7 + 1, "period": "morning", "starts": "09:00", "ends": "11:30",
		"capacity": capacity, "fee": 0, "release_days": 7, "release_time": "00:00", "valid_from": tomorrow.Format(time.DateOnly), "valid_until": tomorrow.Format(time.DateOnly)}, nil)
	var list schedule.Listing
	d.must("", "GET", at("jiangwan", "/sessions"), nil, &list)
	if len(list.Sessions) != 1 {
		d.Fatalf("%+v", list)
	}
	return list.Sessions[0]
}

func (d *day) session(no string) schedule.Session {
	d.Helper()
	var list schedule.Listing
	d.must("", "GET", at("jiangwan", "/sessions"), nil, &list)
	for _, v := range list.Sessions {
		if v.No == no {
			return v
		}
	}
	d.Fatalf("no session %s: %+v", no, list)
	return schedule.Session{}
}
