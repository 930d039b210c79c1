package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/pushhis"
	"hishub/platform/order"
	"hishub/platform/pay"
	"hishub/platform/rx"
)

// handedOut: the pharmacy of the hospital tells, in its own words. Afterwards the app
// does not give money back by itself.
func (d *day) handedOut(p rx.Rx) {
	told, err := d.his["lianhu"].(*pushhis.HIS).Push(context.Background(), pushhis.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": p.No, "dispenseTime": time.Now().In(books.Zone).Format("2006-01-02 15:04:05")}})
	if err != nil || len(told) != 1 || told[0].Result != "SUCCESS" {
		d.Fatalf("%+v %v", told, err)
	}
	awaited(d, d.patient, "/own"+at("lianhu", "/prescriptions/"+p.No), "dispensed", func(p rx.Rx) bool { return p.State == rx.Dispensed })
}

// refundsALine: the patient wants one line's money back, by the app.
func (d *day) refundsALine(p rx.Rx) {
	var o order.Order
	d.must(d.patient, "GET", "/orders/"+p.Order, nil, &o)
	var r pay.Refund
	d.must(d.patient, "POST", "/orders/"+o.No+"/refunds", object{"lines": []int{1}, "reason": "缺药"}, &r)
	all := awaited(d, d.patient, "/orders/"+o.No+"/payments", "given back and told", func(all pay.Payments) bool {
		return len(all.Refunds) == 1 && all.Refunds[0].State == pay.Arrived && all.Refunds[0].Told == pay.HasIt
	})
	if all.Refunds[0].Amount != o.Lines[1].Amount || r.No != all.Refunds[0].No {
		d.Errorf("%+v of %+v", all.Refunds, o.Lines)
	}
}

// booksOf asks a HIS for its books, as its own people would look.
func (d *day) booksOf(hospital string) (all books.Export) {
	d.Helper()
	a, err := http.Get(d.his[hospital].ControlURL() + "/books")
	ok(d, err)
	defer a.Body.Close()
	ok(d, json.NewDecoder(a.Body).Decode(&all))
	return all
}

// booksAgree: journal, channel and each HIS have the same.
func (d *day) booksAgree(given map[string]rx.Rx) {
	var journal, channel core.Fen
	for _, h := range dayHospitals {
		var balances []pay.Balance
		d.must(d.finance, "GET", at(h, "/trial-balance"), nil, &balances)
		var sum core.Fen
		for _, b := range balances {
			if sum += b.Balance; b.Account == "channel:wechat" {
				journal += b.Balance
			}
		}
		if sum != 0 {
			d.Errorf("%s: the journal does not balance: %+v", h, balances)
		}
		// What was prescribed is at the HIS with what was paid for it less what went back.
		p := given[h]
		var o order.Order
		d.must(d.patient, "GET", "/orders/"+p.Order, nil, &o)
		var his books.Export
		within(d, 30*time.Second, h+" has the payment", func() bool {
			his = d.booksOf(h)
			for _, s := range his.Settlements {
				if s.Order == o.No {
					return true
				}
			}
			return false
		})
		found, paid, back := 0, int64(0), int64(0)
		for _, b := range his.Prescriptions {
			if b.No == p.No && b.HisNo == p.HisNo && b.AmountFen == int64(o.Amount) && len(b.Lines) == 2 {
				found++
			}
		}
		for _, s := range his.Settlements {
			if s.Order == o.No {
				paid += s.AmountFen
			}
		}
		for _, r := range his.Refunds {
			if r.Order == o.No {
				back += r.AmountFen
			}
		}
		if found != 1 || paid != int64(o.Amount) || back != int64(o.Refunded) {
			d.Errorf("%s has %d prescriptions, %d paid and %d back; the order is %+v", h, found, paid, back, o)
		}
	}
	for _, p := range d.channel.Books().Export().Payments {
		channel += core.Fen(p.AmountFen)
	}
	for _, r := range d.channel.Books().Export().Refunds {
		channel -= core.Fen(r.AmountFen)
	}
	if journal != channel || journal == 0 {
		d.Errorf("the journal has %s yuan at the channel, the channel %s", journal, channel)
	}
}
