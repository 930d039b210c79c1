package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/mapping"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/hl7his"
)

func TestHepingAnswersEveryQuestion(t *testing.T) {
	for name, ends := range map[string]string{"CR": "\r", "CR LF": "\r\n"} {
		t.Run(name, func(t *testing.T) {
			his, err := hl7his.Start(t.Context(), hl7his.Options{Ends: ends})
			opened(t, his, err)
			r := rigOf(t, "heping", mockedHospitals["heping"], his, map[string]string{"HEPING_ADDRESS": his.Addr()})
			r.must(t, core.PaymentSettle, paymentOf(t, r, "Q2"))
			r.must(t, core.RefundCreate, &core.Refund{RefundNo: "RQ2", OrderID: "Q2", VisitNo: "VQ2", PatientNo: patientNo, Amount: 1000, Paid: 4619, Channel: "wechat", ChannelNo: "42Q2", ChannelRefundNo: "50Q2", Reason: "缺药", RefundedAt: paidAt.Add(time.Hour)})
			r.must(t, core.PrescriptionCreate, prescriptionOf("Q3"))
			r.must(t, core.OrderCreate, orderOf("Q4"))
			if p := his.Books().Prescriptions[0]; p.PatientName != "阿卜·䶮测试" || p.Lines[0].Name != "阿莫西林]]>&胶囊" || p.Lines[0].Price != "1.7917" || p.VisitNo != "VQ2" {
				t.Errorf("the books have %+v", p)
			}
			day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt.Add(-time.Hour), To: paidAt.Add(time.Hour)}
			lists := &core.DictionaryQuery{}
			for _, q := range []struct {
				kind core.Kind
				name string
				body core.Body
				want []string
			}{
				{core.PrescriptionStatus, "Z01", &core.PrescriptionQuery{No: "Q2"}, []string{`"state":"done"`, `"stage":"active"`, `"amount":4619`}},
				{core.PrescriptionStatus, "Z01", &core.PrescriptionQuery{No: "nobody"}, []string{`"state":"absent"`}},
				{core.OrderStatus, "Z02", &core.OrderQuery{No: "Q4"}, []string{`"state":"done"`, `"amount":2000`}},
				{core.PaymentStatus, "Z03", &core.PaymentQuery{OrderID: "Q2"}, []string{`"state":"done"`, `"number":"Q2"`, `"amount":4619`}},
				{core.RefundStatus, "Z04", &core.RefundQuery{RefundNo: "RQ2"}, []string{`"state":"done"`, `"amount":1000`}},
				{core.RefundStatus, "Z04", &core.RefundQuery{RefundNo: "nobody"}, []string{`"state":"absent"`}},
				{core.BillUnpaid, "Z05", &core.BillQuery{VisitNo: "VQ3", PatientNo: patientNo}, []string{`"prescription_no":"Q3"`, `"amount":4619`, `"unit_price":"1.7917"`, `"line_no":"2"`, `"name":"阿莫西林]]\u003e\u0026胶囊"`}},
				{core.BillUnpaid, "Z05", &core.BillQuery{VisitNo: "VQ4", PatientNo: patientNo}, []string{`"title":"检验检查费"`, `"amount":2000`}},
				{core.BillUnpaid, "Z05", &core.BillQuery{VisitNo: "VQ2", PatientNo: patientNo}, []string{"null"}},
				{core.LedgerTotal, "Z07", day, []string{`"payments":"1"`, `"payment_amount":4619`, `"refunds":"1"`, `"refund_amount":1000`}},
				{core.DepartmentList, "Z08", lists, []string{`"code":"0102"`, `"parent":"01"`, `"closed":true`}},
				{core.DoctorList, "Z09", &core.DictionaryQuery{DepartmentCode: "0103"}, []string{`"code":"00732"`, `"name":"王五测试"`}},
			} {
				got := r.asked(t, q.kind, q.body)
				for _, want := range q.want {
					if !strings.Contains(got, want) {
						t.Errorf("%s: no %s in %s", q.kind, want, got)
					}
				}
				for fails, want := range map[fault.Kind]core.Outcome{
					fault.Busy: core.OutcomeBusy, fault.Reject: core.OutcomeRejected, fault.Garbled: core.OutcomeInDoubt, fault.Truncated: core.OutcomeInDoubt, fault.CutAfterCommit: core.OutcomeInDoubt,
				} {
					ok(t, his.Script().Add(fault.Rule{Fault: fails, Operation: "QBP^Q11/" + q.name, Times: 1}))
					if v := r.ask(q.kind, q.body).Verdict; v.Outcome != want {
						t.Errorf("%s, %s: %s, want %s", q.kind, fails, v.Outcome, want)
					}
				}
			}
		})
	}
}

// editedBy changes the books behind everybody's back.
func editedBy(t *testing.T, control string, edit map[string]any) {
	t.Helper()
	body, err := json.Marshal(edit)
	ok(t, err)
	answer, err := http.Post(control+"/books/edit", "application/json", bytes.NewReader(body))
	ok(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("edit %s: %s", body, answer.Status)
	}
}

// A day with more entries than fit into one answer; window refunds and reversals among them.
func TestHepingsNight(t *testing.T) {
	r := newRig(t, "heping")
	his := r.his.(*hl7his.HIS)
	edit := func(edit map[string]any) { editedBy(t, his.ControlURL(), edit) }
	for i := range 120 {
		edit(map[string]any{"add": map[string]any{"order": "N" + string(rune('A'+i/26)) + string(rune('A'+i%26)), "amount_fen": 100, "channel": "ALIPAY", "channel_no": "43", "operator": "net07", "paid_at": "2026-01-05 09:00:00"}})
	}
	edit(map[string]any{"add_refund": map[string]any{"order": "NAA", "amount_fen": 40, "refunded_at": "2026-01-05 10:00:00"}})
	edit(map[string]any{"settlement": "NAB", "reverse": true})
	edit(map[string]any{"settlement": "NAC", "date": "2026-01-06 00:00:01"})
	day := &core.LedgerQuery{Day: "2026-01-05", From: paidAt.Add(-15 * time.Hour), To: paidAt.Add(9 * time.Hour), Operator: "net07", Channel: "alipay"}
	ledger := r.asked(t, core.LedgerDetail, day)
	for part, want := range map[string]int{`"type":"payment"`: 119, `"type":"refund"`: 2, `"amount":40,`: 1, `"reversal":true`: 1, `"order_id":"NAB"`: 1, `"channel":"alipay"`: 121} {
		if n := strings.Count(ledger, part); n != want {
			t.Errorf("%s occurs %d times, want %d", part, n, want)
		}
	}
	if n := count(r.his.Books().Journal, func(e books.Entry) bool { return e.Operation == "QBP^Q11/Z06" }); n != 3 {
		t.Errorf("%d pages were asked for", n)
	}
	none := &core.LedgerQuery{Day: "2025-01-05", From: paidAt.Add(-time.Hour), To: paidAt}
	if got := r.asked(t, core.LedgerDetail, none); got != `{"entries":null}` {
		t.Errorf("an empty day is %s", got)
	}
}

// CA says that a message was stored; what became of it is asked for, and the
// money is booked once.
func TestHepingDecidesLater(t *testing.T) {
	r := newRig(t, "heping")
	pay := paymentOf(t, r, "L1")
	ok(t, r.his.Script().Add(fault.Rule{Fault: fault.LateVerdict, Operation: "DFT^P03/PY", Times: 1, Delay: fault.Delay(time.Millisecond)}))
	receipt := r.must(t, core.PaymentSettle, pay)
	if receipt.HisNo == "" || settled(r.his.Books(), "L1") != 1 {
		t.Errorf("receipt %+v, books %+v", receipt, r.his.Books().Settlements)
	}
	// What needs no inquiry is simply said again.
	ok(t, r.his.Script().Add(fault.Rule{Fault: fault.LateVerdict, Operation: "ADT^A04", Times: 1, Delay: fault.Delay(time.Hour)}))
	r.must(t, core.PatientRegister, deeds[0].body(t, r, "L2"))
}

// notices is an inbound.Store in memory that keeps each fact once, as it was decided.
type notices struct {
	inbound.Store
	mu     sync.Mutex
	all    map[string]*inbound.Stored
	bodies []core.Body
}

func (n *notices) Arrive(_ context.Context, f inbound.Fact, _ []byte, r *core.Resolution) (inbound.Stored, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := string(f.Kind) + f.Body.Key()
	s := n.all[key]
	if s == nil {
		s = &inbound.Stored{ID: int64(len(n.all) + 1), Open: r == nil}
		if r != nil {
			s.Resolution = *r
		}
		n.all[key] = s
		n.bodies = append(n.bodies, f.Body)
	}
	s.Number++
	return *s, nil
}

func (n *notices) Decide(_ context.Context, _ int64, f inbound.Fact, r core.Resolution) (core.Resolution, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.all[string(f.Kind)+f.Body.Key()]
	s.Open, s.Resolution = false, r
	return r, nil
}

func (n *notices) Said(context.Context, int64, int, []byte, []byte) error { return nil }

// listening serves the ports of one hospital until the test ends.
func listening(t *testing.T, id string, hospital *core.Hospital, store inbound.Store, decide inbound.Decider) {
	t.Helper()
	opened := &opening{ready: make(chan struct{}), hospital: hospital}
	close(opened.ready)
	log := slog.New(slog.DiscardHandler)
	h := &hub{log: log, metrics: newMetrics(), hospitals: &hospitals{
		open:   map[revisionKey]*opening{{id, 1}: opened},
		active: map[string]postgres.HospitalRecord{id: {ID: id, Revision: 1}},
	}}
	h.desk = &inbound.Desk{Store: store, Log: log, Deciders: map[core.Kind]inbound.Decider{core.RefundApply: decide}}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		h.hear(ctx)
		close(served)
	}()
	t.Cleanup(func() { stop(); <-served })
}

func TestHepingTellsThePlatform(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	address := free.Addr().String()
	free.Close()
	his, err := hl7his.Start(t.Context(), hl7his.Options{Hub: address})
	opened(t, his, err)
	r := rigOf(t, "heping", mockedHospitals["heping"], his, map[string]string{"HEPING_ADDRESS": his.Addr(), "HEPING_LISTEN": address})
	r.must(t, core.PaymentSettle, paymentOf(t, r, "W1"))
	store := &notices{all: map[string]*inbound.Stored{}}
	listening(t, "heping", r.Hospital, store, func(_ context.Context, _ string, b core.Body) (core.Resolution, error) {
		if b.(*core.WindowRefund).OrderID != "W1" {
			return core.Resolution{State: core.ResultRefused, Message: "未找到该笔支付"}, nil
		}
		return core.Resolution{State: core.ResultDone, Message: "退款成功", Answer: &core.Receipt{Number: "HB1"}}, nil
	})
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	head := `MSH|^~\&|HIS|和平|IH||20260105||`
	refund := map[string]string{"hisRefundNo": "TF1", "orderNo": "W1", "channelNo": "42W1", "amount": "10.00", "reason": "缺药 & <2^盒> | a~b\\", "time": "20260106090000"}
	other := map[string]string{"hisRefundNo": "TF2", "orderNo": "X9", "amount": "10.00"}
	forged := map[string]string{"hisRefundNo": "TF3", "orderNo": "W1", "amount": "10.005"}
	for _, p := range []struct {
		name  string
		push  hl7his.Push
		codes string
		says  string // a part of the last answer
		body  core.Body
	}{
		{"refund", hl7his.Push{Kind: "refundApply", Fields: refund}, "AA", "ZRF|TF1|HB1", &core.WindowRefund{HisRefundNo: "TF1", OrderID: "W1", ChannelNo: "42W1", Amount: 1000, Reason: "缺药 & <2^盒> | a~b\\", Cashier: "C001", At: time.Date(2026, 1, 6, 9, 0, 0, 0, books.Zone)}},
		{"the same refund", hl7his.Push{Kind: "refundApply", Fields: refund}, "AA", "ZRF|TF1|HB1", nil},
		{"another refund", hl7his.Push{Kind: "refundApply", Fields: other}, "AE", "207&未找到该笔支付&HL70357", nil},
		{"a part of a fen", hl7his.Push{Kind: "refundApply", Fields: forged}, "AR", "ERR|^^^200", nil},
		{"dispensed", hl7his.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W1", "time": "20260105150000"}}, "AA", "", &core.DispenseNotice{No: "W1", HisNo: his.Books().Prescriptions[0].HisNo, Operator: "Y009", At: time.Date(2026, 1, 5, 15, 0, 0, 0, books.Zone)}},
		{"returned", hl7his.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W1", "returned": "1"}}, "AA", "", nil},
		{"stopped", hl7his.Push{Kind: "stopClinic", Fields: map[string]string{"scheduleNo": "PB1", "department": "0102", "doctor": "00731", "substitute": "00732", "date": "20260106", "reason": "开会"}}, "AA", "",
			&core.ClinicStop{StopNo: "TZPB1", ScheduleNo: "PB1", DepartmentCode: "0102", DoctorCode: "00731", Date: "2026-01-06", Substitute: "00732", Reason: "开会"}},
		{"both acknowledgements", hl7his.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W2"}, Accept: "AL", Application: "AL"}, "CA AA", "", nil},
		{"the first alone", hl7his.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W3"}, Accept: "AL", Application: "NE"}, "CA", "", nil},
		{"the second alone", hl7his.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W4"}, Accept: "NE", Application: "AL"}, "AA", "", nil},
		{"none", hl7his.Push{Kind: "dispensed", Fields: map[string]string{"recipeNo": "W5"}, Accept: "NE", Application: "NE"}, "", "", nil},
		{"refused at the door", hl7his.Push{Kind: "refundApply", Fields: forged, Accept: "AL", Application: "NE"}, "CR", "", nil},
		{"unknown", hl7his.Push{Kind: "raw", Text: head + "MFN^M02|X1|P|2.4\rMFI|1\r"}, "AR", "MSA|AR|X1", nil},
		{"unreadable", hl7his.Push{Kind: "raw", Text: head + "DFT^P03|X2|P|2.4\rFT1|1|T\\Z9\\\r"}, "AR", "MSA|AR|X2", nil},
		{"no segment", hl7his.Push{Kind: "raw", Text: head + "SIU^S15|X3|P|2.4\nrubbish\n"}, "AR", "MSA|AR|X3", nil},
		{"another charset", hl7his.Push{Kind: "raw", Text: head + "SIU^S15|X4|P|2.4\rSCH|\x00\xff\xff\r"}, "AR", "MSA|AR|X4", nil},
	} {
		before := len(store.bodies)
		told, err := his.Push(t.Context(), p.push)
		var codes, text string
		for _, a := range told {
			codes, text = strings.TrimSpace(codes+" "+a.Code), a.Text
		}
		if err != nil || codes != p.codes || !strings.Contains(text, p.says) {
			t.Errorf("%s: answered %q, %v\n%s", p.name, codes, err, strings.ReplaceAll(text, "\r", "\n"))
		}
		if p.body != nil && len(store.bodies) == before+1 {
			want, _ := json.Marshal(p.body)
			if got, _ := json.Marshal(store.bodies[before]); string(got) != string(want) {
				t.Errorf("%s is\n%s, want\n%s", p.name, got, want)
			}
		} else if p.body != nil {
			t.Errorf("%s was not kept", p.name)
		}
	}
	// What has no MSH is nobody that could be answered.
	if told, err := his.Push(t.Context(), hl7his.Push{Kind: "raw", Text: "hello"}); err == nil {
		t.Errorf("rubbish was answered %+v", told)
	}
	// The connection that was told nothing still served; "W5" is kept all the same.
	for _, no := range []string{"W2", "W3", "W4", "W5"} {
		if store.all[string(core.DrugsDispensed)+no+"/dispensed"] == nil {
			t.Errorf("%s was not kept", no)
		}
	}
	if b := his.Books(); count(b.Refunds, func(r books.Refund) bool { return r.No == "TF1" && r.AmountFen == 1000 }) != 1 || len(b.Refunds) != 1 {
		t.Errorf("the books have the refunds %+v", b.Refunds)
	}
}

// Every way of being paid, voided and given back in one visit, by the real policy.
func TestHepingLosesAnAnswer(t *testing.T) {
	r := newRig(t, "heping")
	pay := paymentOf(t, r, "D1")
	ok(t, r.his.Script().Add(fault.Rule{Fault: fault.CommitThenHang, Operation: "DFT^P03/PY", Times: 1}))
	n := r.deliver(t, core.PaymentSettle, pay)
	if n.State != delivery.Delivered || n.Receipt == nil || n.Receipt.HisNo != r.his.Books().Settlements[0].HisNo {
		t.Errorf("%s, %s, receipt %+v", n.State, n.Because, n.Receipt)
	}
	asked := count(r.his.Books().Journal, func(e books.Entry) bool { return e.Operation == "QBP^Q11/Z03" && e.Key == "D1" })
	if asked == 0 || settled(r.his.Books(), "D1") != 1 {
		t.Errorf("asked %d times, booked %d times", asked, settled(r.his.Books(), "D1"))
	}
	if n := r.deliver(t, core.PrescriptionVoid, &core.PrescriptionVoiding{No: "D1", VisitNo: "VD1", PatientNo: patientNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt}); n.State != delivery.Parked || n.Words != "处方已收费，不能作废" {
		t.Errorf("voiding what is paid: %s (%s)", n.State, n.Words)
	}
}

// The same hospital in enhanced mode: MSH-15 and MSH-16 ask for both
// acknowledgements, and the second is the answer.
func TestHepingInEnhancedMode(t *testing.T) {
	his, err := hl7his.Start(t.Context(), hl7his.Options{})
	opened(t, his, err)
	files := fstest.MapFS{}
	root := os.DirFS("../../mapping/hospitals/heping")
	ok(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, path)
		if path == "hospital.yaml" {
			text := strings.Replace(string(data), "timeout: 10s, concurrency: 8}", `timeout: 1s, receipt: "MSA|CA|"}`, 1)
			text = strings.Replace(text, "12: 2.4, 18: GB 18030-2000}", "12: 2.4, 15: AL, 16: AL, 18: GB 18030-2000}", 1)
			if strings.Count(text, "AL, 16: AL") != 1 || strings.Count(text, "receipt") != 1 {
				t.Fatal("the folder is written otherwise than this test believes")
			}
			data = []byte(text)
		}
		files[path] = &fstest.MapFile{Data: data}
		return err
	}))
	sample, err := readSample(files)
	ok(t, err)
	sample["HEPING_ADDRESS"] = his.Addr()
	folder, err := mapping.Load(files, mapping.Options{Env: func(n string) (string, bool) { v, ok := sample[n]; return v, ok }, Open: connectors.Open, Listen: connectors.Listen})
	ok(t, err)
	hospital, err := openHospital(folder.Dialect, 1, nil, nil)
	ok(t, err)
	t.Cleanup(func() { _ = hospital.Close() })
	r := &rig{Hospital: hospital, his: his, operations: mockedHospitals["heping"].operations}
	pay := paymentOf(t, r, "E1")
	ok(t, his.Script().Add(fault.Rule{Fault: fault.Truncated, Operation: "DFT^P03/PY", Times: 1}))
	if receipt := r.must(t, core.PaymentSettle, pay); receipt.HisNo == "" || settled(his.Books(), "E1") != 1 {
		t.Errorf("receipt %+v, booked %d times", receipt, settled(his.Books(), "E1"))
	}
	if got := r.asked(t, core.PaymentStatus, &core.PaymentQuery{OrderID: "E1"}); !strings.Contains(got, `"state":"done"`) {
		t.Error(got)
	}
}
