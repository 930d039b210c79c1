package pay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
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
	var changed struct{ Errors []struct{ Value core.Fen } }
	call("payer", "POST", own+"/payments", wish, &changed, 409)
	if len(changed.Errors) != 1 || changed.Errors[0].Value != 1300 {
		t.Errorf("the price: %+v", changed)
	}
	wish.Version, wish.Way = 2, pay.H5 // h5 is told where the payer is
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
	decide := map[string]string{"decision": "approve"}
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
	trail.mu.Lock()
	defer trail.mu.Unlock()
	for _, act := range trail.acts {
		if !strings.Contains(act.Subject, " ") || len(act.Patients) == 0 {
			t.Errorf("the audit does not say whose it was: %+v", act)
		}
	}
	if o = w.get(o.No); o.State != order.Paid || o.Refunded != 300 {
		t.Errorf("%+v", o)
	}
	w.balanced()
}
