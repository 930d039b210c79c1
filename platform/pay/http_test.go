package pay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hishub/core"
	"hishub/platform/clinic"
	"hishub/platform/order"
	"hishub/platform/pay"
)

type someone map[string]clinic.Person

func (s someone) Person(_ context.Context, token string) (clinic.Person, error) {
	p, ok := s[token]
	if !ok {
		return p, clinic.ErrSignedOut
	}
	return p, nil
}

type kept struct {
	mu   sync.Mutex
	acts []clinic.Act
}

func (k *kept) Keep(_ context.Context, a clinic.Act) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.acts = append(k.acts, a)
	return nil
}

// Through the API, from the price that changed to the books; each with who may, and who may not.
func TestOverHTTP(t *testing.T) {
	w := open(t)
	trail := &kept{}
	mux := http.NewServeMux()
	staff := func(account int64, role clinic.Role, hospital string) clinic.Person {
		return clinic.Person{Account: account, Grants: []clinic.Grant{{Role: role, Hospital: hospital}}}
	}
	w.pay.Routes(&clinic.API{Huma: humago.New(mux, huma.DefaultConfig("t", "1")), Trail: trail, People: someone{
		"payer": staff(7, clinic.Patient, ""), "other": staff(8, clinic.Patient, ""), "cashier": staff(20, clinic.Cashier, "h1"),
		"finance": staff(21, clinic.Finance, "h1"), "finance2": staff(22, clinic.Finance, "h2"), "auditor": staff(23, clinic.Auditor, "h1"), "admin": staff(24, clinic.HospitalAdmin, "h1"),
	}})
	call := func(token, method, path string, body, out any, want int) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, clinic.Prefix+path, bytes.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		if rec.Code != want {
			t.Fatalf("%s %s as %s: %d, not %d: %s", method, path, token, rec.Code, want, rec.Body)
		}
		if out != nil {
			if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := w.order()
	own := "/orders/" + o.No
	wish := native
	call("other", "POST", own+"/payments", wish, nil, 404)
	call("cashier", "POST", own+"/payments", wish, nil, 403)
	w.goods.price = 1300
	call("payer", "POST", own+"/payments", wish, nil, 409) // with both amounts: TestAProblemSaysWhatChanged
	wish.Version, wish.Way = 2, pay.H5                     // h5 is told where the payer is
	var a pay.Attempt
	call("payer", "POST", own+"/payments", wish, &a, 201)
	if a.Client["url"] == "" || a.Amount != 1300 {
		t.Fatalf("%+v", a)
	}
	call("other", "GET", own+"/payments", nil, nil, 404)
	call("payer", "POST", own+"/payments/end", nil, nil, 200)
	wish.Way = pay.Native
	call("payer", "POST", own+"/payments", wish, &a, 201)
	w.fault("notice_lost", "", a.No, 1)
	if _, err := w.channel.PayTrade("wechat", a.No, 0); err != nil {
		t.Fatal(err)
	}
	var all pay.Payments
	call("payer", "POST", own+"/payments/check", nil, &all, 200)
	if len(all.Attempts) != 2 || all.Attempts[0].State != pay.Succeeded || all.Attempts[1].State != pay.Closed {
		t.Fatalf("%+v", all)
	}
	var r pay.Refund
	call("cashier", "POST", "/hospitals/h1/orders/"+o.No+"/refunds", pay.Back{Amount: 300, Reason: "测试"}, &r, 201)
	call("payer", "POST", own+"/refunds", pay.Back{Amount: 300, Reason: "测试"}, nil, 409) // one waits
	var u pay.Undecidable
	call("finance", "GET", "/hospitals/h1/payments/undecided", nil, &u, 200)
	if len(u.Refunds) != 1 || u.Refunds[0].Reason != "测试" {
		t.Errorf("%+v", u)
	}
	decide := map[string]string{"decision": "approve", "note": "与患者核对过"}
	call("cashier", "POST", "/hospitals/h1/refunds/"+r.No+"/decide", decide, nil, 403)
	call("finance2", "POST", "/hospitals/h1/refunds/"+r.No+"/decide", decide, nil, 404)
	call("finance2", "POST", "/hospitals/h2/refunds/"+r.No+"/decide", decide, nil, 404)
	call("finance", "POST", "/hospitals/h1/refunds/"+r.No+"/decide", decide, &r, 200)
	if r.State != pay.Arrived {
		t.Errorf("%+v", r)
	}
	call("admin", "PUT", "/hospitals/h1/payment-setting", map[string]int{"refund_alone": 100}, nil, 204)
	call("payer", "POST", own+"/refunds", pay.Back{Reason: "测试"}, &r, 201)
	if r.State != pay.Requested || r.Amount != 1000 {
		t.Errorf("%+v", r)
	}
	call("finance", "POST", "/hospitals/h1/payments/wechat/"+a.No+"/decide", map[string]string{"decision": "give_back", "note": "测试"}, nil, 409)
	var balance []pay.Balance
	call("auditor", "GET", "/hospitals/h1/trial-balance", nil, &balance, 200)
	var journal []pay.Posting
	call("finance", "GET", "/hospitals/h1/journal?limit=2", nil, &journal, 200)
	call("finance", "GET", "/hospitals/h1/journal?after="+string(rune('0'+journal[1].ID)), nil, &journal, 200)
	if len(balance) != 4 || balance[0].Account != "channel:wechat" || balance[0].Balance != 1000 || len(journal) != 1 || journal[0].Fact != "returned" {
		t.Errorf("%+v %+v", balance, journal)
	}
	call("payer", "GET", "/hospitals/h1/journal", nil, nil, 403)
	var days []pay.DayBalance
	call("auditor", "GET", "/hospitals/h1/trial-balance/days", nil, &days, 200)
	var debit, credit, sum core.Fen
	for _, d := range days {
		debit, credit, sum = debit+d.Debit, credit+d.Credit, sum+d.Balance
	}
	if len(days) != 4 || debit != credit || debit == 0 || sum != 0 || days[0].Account != "channel:wechat" || days[0].Balance != 1000 {
		t.Errorf("%+v", days)
	}
	call("auditor", "GET", "/hospitals/h1/trial-balance/days?from=2020-01-01&to=2020-01-31", nil, &days, 200)
	if len(days) != 0 {
		t.Errorf("%+v", days)
	}
	call("auditor", "GET", "/hospitals/h1/trial-balance/days?from=2020-01-01&to=2021-01-31", nil, nil, 422)
	call("auditor", "GET", "/hospitals/h1/trial-balance/days?from=yesterday", nil, nil, 422)
	w.lists(call, o, all)
	trail.mu.Lock()
	defer trail.mu.Unlock()
	if !slices.ContainsFunc(trail.acts, func(a clinic.Act) bool { return a.Verb == "clinic-refund-decide" && a.Note == "与患者核对过" }) {
		t.Error("the audit does not say why the refund was approved")
	}
	for _, act := range trail.acts {
		if !strings.Contains(act.Subject, " ") || len(act.Patients) == 0 && !strings.HasPrefix(act.Subject, "0 ") {
			t.Errorf("the audit does not say whose it was: %+v", act)
		}
	}
	if o = w.get(o.No); o.State != order.Paid || o.Refunded != 300 {
		t.Errorf("%+v", o)
	}
	w.balanced()
}

// lists walks what finance looks through.
func (w *world) lists(call func(token, method, path string, body, out any, want int), o order.Order, of pay.Payments) {
	w.t.Helper()
	for _, path := range []string{"/payments", "/refunds", "/payments/wechat/" + o.No} {
		call("cashier", "GET", "/hospitals/h1"+path, nil, nil, 403)
		call("auditor", "GET", "/hospitals/h1"+path, nil, nil, 403)
		call("finance2", "GET", "/hospitals/h1"+path, nil, nil, 404)
	}
	call("finance2", "GET", "/hospitals/h2/payments/wechat/"+o.No, nil, nil, 404)
	var page pay.AttemptPage
	var seen []string
	for next := ""; ; next = page.Next {
		page = pay.AttemptPage{}
		call("finance", "GET", "/hospitals/h1/payments?limit=1&before="+next, nil, &page, 200)
		for _, a := range page.Attempts {
			if seen = append(seen, a.No); a.Client != nil {
				w.t.Error("finance has what the payer's device needs")
			}
		}
		if page.Next == "" {
			break
		}
	}
	if len(seen) != 2 || seen[0] != of.Attempts[0].No || seen[1] != of.Attempts[1].No {
		w.t.Errorf("pages: %v", seen)
	}
	for query, want := range map[string]int{"state=succeeded": 1, "state=closed": 1, "state=review": 0, "order=" + o.No: 2, "order=OR0": 0, "channel=alipay": 0, "told=telling": 1,
		"from=2020-01-01T00:00:00Z": 2, "to=2020-01-01T00:00:00Z": 0, "before=wechat/none": 0} {
		call("finance", "GET", "/hospitals/h1/payments?"+query, nil, &page, 200)
		if len(page.Attempts) != want {
			w.t.Errorf("%s: %d payments, not %d", query, len(page.Attempts), want)
		}
	}
	var refunds pay.RefundPage
	for query, want := range map[string]int{"": 2, "state=succeeded": 1, "state=requested": 1, "origin=desk": 1, "origin=window": 0, "order=" + o.No: 2, "limit=1": 1, "to=2020-01-01T00:00:00Z": 0} {
		refunds = pay.RefundPage{}
		call("finance", "GET", "/hospitals/h1/refunds?"+query, nil, &refunds, 200)
		if len(refunds.Refunds) != want || (refunds.Next != "") != (query == "limit=1") {
			w.t.Errorf("%s: %d refunds, not %d; next %q", query, len(refunds.Refunds), want, refunds.Next)
		}
	}
	call("finance", "GET", "/hospitals/h1/refunds?limit=1", nil, &refunds, 200)
	first := refunds.Refunds[0].No
	next := refunds.Next
	refunds = pay.RefundPage{}
	call("finance", "GET", "/hospitals/h1/refunds?limit=1&before="+next, nil, &refunds, 200)
	if len(refunds.Refunds) != 1 || refunds.Refunds[0].No == first || refunds.Next != "" {
		w.t.Errorf("the second page: %+v", refunds)
	}
	var whole pay.OrderMoney
	call("finance", "GET", "/hospitals/h1/payments/wechat/"+o.No, nil, &whole, 200)
	if len(whole.Attempts) != 2 || len(whole.Refunds) != 2 || len(whole.Journal) != 3 || whole.Journal[0].Fact != "paid" {
		w.t.Errorf("%+v", whole)
	}
	var journal []pay.Posting
	for query, want := range map[string]int{"order=" + o.No: 3, "fact=paid": 1, "account=refunds": 2, "to=2020-01-01T00:00:00Z": 0, "order=OR0": 0} {
		call("finance", "GET", "/hospitals/h1/journal?"+query, nil, &journal, 200)
		if len(journal) != want {
			w.t.Errorf("%s: %d postings, not %d", query, len(journal), want)
		}
	}
}
