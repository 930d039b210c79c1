package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/redis"
	"hishub/mapping"
	"hishub/mocks/books"
	"hishub/mocks/fault"
	"hishub/mocks/shipped"
)

// Every write of the catalogue, at every hospital whose folder has it: told once,
// told again as another message, lost before and after it took effect, and
// refused. What became of it is judged by the books of the hospital.

// mocked is a shipped hospital with its fake HIS.
type mocked struct {
	start shipped.Start
	// operations are the HIS's names of what takes effect, for the fault script.
	operations map[core.Kind]string
}

// open starts the fake HIS until the test ends, and says what the folder's environment is.
func (m mocked) open(t *testing.T) (fakeHIS, map[string]string) {
	t.Helper()
	his, env, err := m.start(context.Background(), shipped.Options{})
	return opened(t, his, err).(fakeHIS), env
}

type fakeHIS interface {
	Books() books.Export
	Script() *fault.Script
	ControlURL() string
}

var mockedHospitals = map[string]mocked{
	"beicheng": {
		start: shipped.Beicheng,
		operations: map[core.Kind]string{
			core.PatientRegister: "InsertPatientInfo",
			core.AppointmentLock: "RegLock", core.AppointmentUnlock: "RegUnLock", core.AppointmentBook: "OrderReg",
			core.AppointmentPay: "PayReg", core.AppointmentCancel: "CancelReg",
			core.PrescriptionCreate: "SavePrescription", core.PrescriptionVoid: "CancelPrescription", core.DispenseReport: "SaveDispense",
			core.OrderCreate: "ExamAppInfoAdd", core.OrderCancel: "ExamAppInfoCancel",
			core.PaymentSettle: "SaveFee", core.RefundCreate: "RefundFee", core.InvoiceIssue: "IssueEInvoice",
		},
	},
	"dongshan": {
		start: shipped.Dongshan,
		operations: map[core.Kind]string{
			core.PrescriptionCreate: "SavePrescription", core.PrescriptionVoid: "VoidPrescription",
			core.PaymentSettle: "ConfirmSettle", core.RefundCreate: "SaveRefund",
		},
	},
	"heping": {
		start: shipped.Heping,
		operations: map[core.Kind]string{
			core.PatientRegister: "ADT^A04", core.PrescriptionCreate: "OMP^O09/NW", core.PrescriptionVoid: "OMP^O09/CA",
			core.OrderCreate: "ORM^O01/NW", core.OrderCancel: "ORM^O01/CA",
			core.PaymentSettle: "DFT^P03/PY", core.RefundCreate: "DFT^P03/CD",
		},
	},
	"jianguan": {
		start: shipped.Jianguan,
		operations: map[core.Kind]string{
			core.PrescriptionCreate: "uploadRecipeIndicators", core.PrescriptionVoid: "uploadRecipeCancel", core.DispenseReport: "uploadRecipeVerificationIndicators",
		},
	},
	"lianhu": {
		start: shipped.Lianhu,
		operations: map[core.Kind]string{
			core.PatientRegister: "createACard",
			core.AppointmentLock: "lockNumber", core.AppointmentUnlock: "unlockNumber", core.AppointmentBook: "register",
			core.AppointmentPay: "payRegister", core.AppointmentCancel: "backRegister",
			core.PrescriptionCreate: "saveRecipe", core.PrescriptionVoid: "revokeRecipe", core.DispenseReport: "recipeDelivery",
			core.OrderCreate: "saveApply", core.OrderCancel: "revokeApply",
			core.PaymentSettle: "outpatientPay", core.RefundCreate: "refundPay", core.InvoiceIssue: "printInvoice",
		},
	},
	"yongan": {
		start: shipped.Yongan,
		operations: map[core.Kind]string{
			core.PatientRegister: "1101", core.PrescriptionCreate: "2201", core.PrescriptionVoid: "2202", core.PaymentSettle: "2302", core.RefundCreate: "2401",
		},
	},
	"xingguang": {
		start: shipped.Xingguang,
		operations: map[core.Kind]string{
			core.PatientRegister: "Patient.create", core.PrescriptionCreate: "MedicationRequest.create", core.PrescriptionVoid: "MedicationRequest.patch",
			core.OrderCreate: "ServiceRequest.create", core.OrderCancel: "ServiceRequest.patch",
			core.PaymentSettle: "PaymentNotice.create", core.RefundCreate: "PaymentNotice.refund",
		},
	},
	"qingshan": {
		start: shipped.Qingshan,
		operations: map[core.Kind]string{
			core.PatientRegister: "PatientRegistryAdd", core.PrescriptionCreate: "OrderInfoAdd", core.PrescriptionVoid: "OrderInfoCancel",
			core.OrderCreate: "ExamAppInfoAdd", core.OrderCancel: "ExamAppInfoCancel",
			core.PaymentSettle: "ChargeInfoAdd", core.RefundCreate: "RefundInfoAdd",
		},
	},
	"xihu": {
		start: shipped.Xihu,
		operations: map[core.Kind]string{
			core.PrescriptionCreate: "RX001", core.PrescriptionVoid: "RX002", core.PaymentSettle: "PAY001", core.RefundCreate: "RF001",
		},
	},
}

func opened[H interface{ Close() error }](t *testing.T, his H, err error) H {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = his.Close() })
	return his
}

// rig is a hospital that can be written to, and the books behind it.
type rig struct {
	*core.Hospital
	his        fakeHIS
	operations map[core.Kind]string
	sessions   []core.Schedule
	session    atomic.Int64
}

func newRig(t *testing.T, name string) *rig {
	t.Helper()
	m := mockedHospitals[name]
	his, env := m.open(t)
	return rigOf(t, name, m, his, env)
}

func rigOf(t *testing.T, name string, m mocked, his fakeHIS, env map[string]string) *rig {
	t.Helper()
	files := os.DirFS(filepath.Join("..", "..", "mapping", "hospitals", name))
	sample, err := readSample(files)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(sample, env)
	folder, err := mapping.Load(files, mapping.Options{
		Env:  func(name string) (string, bool) { v, ok := sample[name]; return v, ok },
		Open: connectors.Open, Listen: connectors.Listen,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range folder.Dialect.Connectors {
		spec.Timeout = time.Second // for what never answers
		folder.Dialect.Connectors[name] = spec
	}
	client := redis.Embedded()
	t.Cleanup(func() { _ = client.Close() })
	hospital, err := openHospital(folder.Dialect, 1, redis.NewSessions(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hospital.Close() })
	r := &rig{Hospital: hospital, his: his, operations: m.operations}
	for kind := range m.operations {
		if hospital.Operations[kind] == nil {
			t.Errorf("%s has no %s", name, kind)
		}
	}
	if hospital.Operations[core.AppointmentBook] != nil {
		schedules, _ := r.ask(core.ScheduleList, &core.DictionaryQuery{}).Verdict.Answer.(*core.Schedules)
		if schedules == nil || len(schedules.Schedules) == 0 {
			t.Fatalf("%s has no schedule", name)
		}
		r.sessions = schedules.Schedules
	}
	return r
}

func (r *rig) ask(kind core.Kind, body core.Body) core.Exchange {
	call := &r.Operations[kind].Steps[0].Call
	return r.Ask(context.Background(), call, core.Input{Body: body, Stamp: r.Stamp(body.Key(), time.Now(), 1)}, nil)
}

// deliver carries a message to its end by the real policy. Its clock is its own,
// so that waiting costs nothing.
func (r *rig) deliver(t *testing.T, kind core.Kind, body core.Body) delivery.Next {
	t.Helper()
	if err := body.Validate(); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	clock := time.Now()
	op := r.Operations[kind]
	d := &delivery.Delivery{ID: 1, Hospital: r.ID(), Kind: kind, Accepted: clock, Body: body, Progress: delivery.Progress{Phase: delivery.Send}}
	for range 100 {
		n, ok := delivery.DefaultPolicy.Before(d, op, clock)
		if ok {
			step := &op.Steps[d.Step]
			call := &step.Call
			switch d.Phase {
			case delivery.Inquire:
				call = &step.Inquire.Call
			case delivery.Undo:
				call = &step.Undo.Call
			}
			in := core.Input{Body: body, Captured: d.Captured, Stamp: r.Stamp(body.Key(), d.Accepted, d.Attempts+1)}
			if !applies(t, d, step, in) {
				n = delivery.DefaultPolicy.Skip(d, op)
			} else {
				x := r.Ask(context.Background(), call, in, nil)
				n = delivery.DefaultPolicy.After(d, op, &delivery.Attempt{Number: d.Attempts + 1, Phase: d.Phase, Step: step.Name, Exchange: x, Now: clock})
			}
		}
		d.Progress = n.Progress
		switch n.State {
		case delivery.Queued:
			clock = clock.Add(n.After)
		case delivery.Sending:
		default:
			return n
		}
	}
	t.Fatalf("%s does not come to an end", kind)
	return delivery.Next{}
}

func applies(t *testing.T, d *delivery.Delivery, step *core.Step, in core.Input) bool {
	t.Helper()
	if d.Phase != delivery.Send || !d.LastByte.IsZero() || step.When == nil {
		return true
	}
	applies, err := step.When(in)
	if err != nil {
		t.Fatalf("step %s: when: %v", step.Name, err)
	}
	return applies
}

// must deliver what a test needs to be there.
func (r *rig) must(t *testing.T, kind core.Kind, body core.Body) *core.Receipt {
	t.Helper()
	n := r.deliver(t, kind, body)
	if n.State != delivery.Delivered {
		t.Fatalf("%s: %s, %s (%s)", kind, n.State, n.Because, n.Words)
	}
	return n.Receipt
}

// deed is a transaction that changes something, with what must be there before, and its mark in the books.
type deed struct {
	kind core.Kind
	// body of a message about id; what it needs to be there is told to the HIS first.
	body func(t *testing.T, r *rig, id string) core.Body
	// booked counts what the books hold of it.
	booked func(b books.Export, id string) int
}

const patientNo = "0000024772"

var (
	paidAt = time.Date(2026, 1, 5, 14, 56, 1, 0, books.Zone)
	deeds  = []deed{
		{core.PatientRegister, func(_ *testing.T, _ *rig, id string) core.Body {
			return &core.Patient{PersonID: "P" + id, Name: "测试" + id, Sex: "female", BirthDate: "1995-09-07", IDType: "passport", IDNo: "T" + id, Phone: "13900000000", RegisteredAt: paidAt}
		}, func(b books.Export, id string) int {
			return count(b.Patients, func(p books.Patient) bool { return p.PersonID == "P"+id })
		}},
		{core.AppointmentLock, func(_ *testing.T, r *rig, id string) core.Body { return lockOf(r.place(), id) }, func(b books.Export, id string) int {
			return count(b.Appointments, func(a books.Appointment) bool { return a.Order == id && a.State == books.Locked })
		}},
		{core.AppointmentUnlock, func(t *testing.T, r *rig, id string) core.Body {
			lock := lockOf(r.place(), id)
			held := r.must(t, core.AppointmentLock, lock)
			return &core.SlotRelease{OrderID: id, PatientNo: patientNo, ScheduleNo: lock.ScheduleNo, LockNo: held.HisNo, ReleasedAt: paidAt}
		}, func(b books.Export, id string) int {
			return count(b.Appointments, func(a books.Appointment) bool { return a.Order == id && a.State == books.Released })
		}},
		{core.AppointmentBook, func(t *testing.T, r *rig, id string) core.Body {
			at := r.place()
			held := r.must(t, core.AppointmentLock, lockOf(at, id))
			return bookingOf(at, id, held.HisNo)
		}, func(b books.Export, id string) int {
			return count(b.Appointments, func(a books.Appointment) bool { return a.Order == id && a.State == books.Booked })
		}},
		{core.AppointmentPay, func(t *testing.T, r *rig, id string) core.Body {
			return feeOf(id, r.must(t, core.AppointmentBook, bookingOf(r.place(), id, "")))
		}, settled},
		{core.AppointmentCancel, func(t *testing.T, r *rig, id string) core.Body {
			booked := r.must(t, core.AppointmentBook, bookingOf(r.place(), id, ""))
			r.must(t, core.AppointmentPay, feeOf(id, booked))
			return &core.AppointmentCancelling{OrderID: id, PatientNo: patientNo, HisNo: booked.HisNo, RefundNo: "R" + id, Amount: 1500,
				Channel: "wechat", ChannelNo: "42" + id, ChannelRefundNo: "50" + id, Reason: "行程有变", CancelledAt: paidAt}
		}, refunded},
		{core.PrescriptionCreate, func(_ *testing.T, _ *rig, id string) core.Body { return prescriptionOf(id) }, func(b books.Export, id string) int {
			return count(b.Prescriptions, func(p books.Prescription) bool { return p.No == id })
		}},
		{core.PrescriptionVoid, func(t *testing.T, r *rig, id string) core.Body {
			saved := r.must(t, core.PrescriptionCreate, prescriptionOf(id))
			return &core.PrescriptionVoiding{No: id, VisitNo: "V" + id, PatientNo: patientNo, HisNo: saved.HisNo, Reason: "开错药", OperatorCode: "00731", VoidedAt: paidAt}
		}, func(b books.Export, id string) int {
			return count(b.Voids, func(v books.Void) bool { return v.No == id })
		}},
		{core.DispenseReport, func(t *testing.T, r *rig, id string) core.Body {
			saved := r.must(t, core.PrescriptionCreate, prescriptionOf(id))
			return &core.Dispense{No: id, VisitNo: "V" + id, PatientNo: patientNo, HisNo: saved.HisNo, State: "shipped", Carrier: "测试快递", TrackingNo: "SF" + id, At: paidAt}
		}, func(b books.Export, id string) int {
			return count(b.Dispenses, func(d books.Dispense) bool { return d.Prescription == id })
		}},
		{core.OrderCreate, func(_ *testing.T, _ *rig, id string) core.Body { return orderOf(id) }, func(b books.Export, id string) int {
			return count(b.Orders, func(o books.Order) bool { return o.No == id })
		}},
		{core.OrderCancel, func(t *testing.T, r *rig, id string) core.Body {
			saved := r.must(t, core.OrderCreate, orderOf(id))
			return &core.OrderCancelling{No: id, VisitNo: "V" + id, PatientNo: patientNo, HisNo: saved.HisNo, Reason: "重复申请", OperatorCode: "00731", CancelledAt: paidAt}
		}, func(b books.Export, id string) int {
			return count(b.Orders, func(o books.Order) bool { return o.No == id && o.State == books.Voided })
		}},
		{core.PaymentSettle, paymentOf, settled},
		{core.RefundCreate, func(t *testing.T, r *rig, id string) core.Body {
			paid := r.must(t, core.PaymentSettle, paymentOf(t, r, id))
			return &core.Refund{RefundNo: "R" + id, OrderID: id, VisitNo: "V" + id, PatientNo: patientNo, HisNo: paid.HisNo, Amount: 1000, Paid: 4619,
				Channel: "wechat", ChannelNo: "42" + id, ChannelRefundNo: "50" + id, Reason: "药品缺货", RefundedAt: paidAt}
		}, refunded},
		{core.InvoiceIssue, func(t *testing.T, r *rig, id string) core.Body {
			paid := r.must(t, core.PaymentSettle, paymentOf(t, r, id))
			return &core.Invoice{OrderID: id, VisitNo: "V" + id, PatientNo: patientNo, HisNo: paid.HisNo, Amount: 4619, Payer: "张三测试", AskedAt: paidAt}
		}, func(b books.Export, id string) int {
			return count(b.Invoices, func(i books.Invoice) bool { return i.Order == id })
		}},
	}
)

func settled(b books.Export, id string) int {
	return count(b.Settlements, func(s books.Settlement) bool { return s.Order == id })
}

func refunded(b books.Export, id string) int {
	return count(b.Refunds, func(r books.Refund) bool { return r.Order == id })
}

func count[T any](all []T, is func(T) bool) (n int) {
	for _, x := range all {
		if is(x) {
			n++
		}
	}
	return n
}

// place gives a session that no other case uses.
func (r *rig) place() core.Schedule { return r.sessions[int(r.session.Add(1)-1)%len(r.sessions)] }

func lockOf(at core.Schedule, id string) *core.SlotLock {
	return &core.SlotLock{OrderID: id, PatientNo: patientNo, DepartmentCode: at.DepartmentCode, DoctorCode: at.DoctorCode, ScheduleNo: at.ScheduleNo, Date: at.Date, LockedAt: paidAt}
}

func bookingOf(at core.Schedule, id, lock string) *core.Appointment {
	return &core.Appointment{OrderID: id, PatientNo: patientNo, PatientName: "张三测试", DepartmentCode: at.DepartmentCode, DoctorCode: at.DoctorCode, ScheduleNo: at.ScheduleNo,
		LockNo: lock, Date: at.Date, Period: at.Period, Start: at.Start, End: at.End, Fee: at.Fee, BookedAt: paidAt}
}

func feeOf(id string, booked *core.Receipt) *core.AppointmentPayment {
	return &core.AppointmentPayment{OrderID: id, PatientNo: patientNo, HisNo: booked.HisNo, Amount: 1500, Channel: "wechat", ChannelNo: "42" + id, PaidAt: paidAt}
}

func prescriptionOf(id string) *core.Prescription {
	return &core.Prescription{
		No: id, VisitNo: "V" + id, PatientNo: patientNo, PatientName: "阿卜·䶮测试", Sex: "female", BirthDate: "1990-01-01", DepartmentCode: "0102", DoctorCode: "00731",
		DoctorName: "李四<测试>&]]>", PharmacistCode: "00815", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "感染<5天 & ]]>"}},
		Items: []core.Item{
			{Code: "001207", Name: "阿莫西林]]>&胶囊", Qty: "12", Unit: "盒", UnitPrice: "1.7917", Amount: 2150, Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3},
			{Code: "003311", Name: "维生素C片", Qty: "2", Unit: "盒", UnitPrice: "12.3450", Amount: 2469, Dose: "1", DoseUnit: "片", Frequency: "tid", Route: "oral", Days: 3},
		},
		Amount: 4619, WrittenAt: paidAt, ValidUntil: paidAt.Add(72 * time.Hour),
		Writing:      &core.Writing{DoctorIDNo: "999999198506070028", Signature: "ZG9jdG9y"},
		Review:       &core.Review{PharmacistName: "赵六测试", PharmacistIDNo: "999999198001010018", ReviewedAt: paidAt.Add(6 * time.Minute), Signature: "cGhhcm1hY2lzdA=="},
		Consultation: &core.Consultation{No: "C" + id, StartedAt: paidAt.Add(-20 * time.Minute), Complaint: "咽痛咳嗽3天", Allergies: "青霉素"},
	}
}

func orderOf(id string) *core.Order {
	return &core.Order{
		No: id, VisitNo: "V" + id, PatientNo: patientNo, PatientName: "张三测试", Sex: "male", BirthDate: "1990-01-01", DepartmentCode: "0102", DoctorCode: "00731",
		DoctorName: "李四测试", Category: "lab", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
		Items:  []core.OrderItem{{Code: "L0101", Name: "血常规", Qty: "1", UnitPrice: "20.00", Amount: 2000, Specimen: "blood"}},
		Amount: 2000, OrderedAt: paidAt,
	}
}

func paymentOf(t *testing.T, r *rig, id string) core.Body {
	saved := r.must(t, core.PrescriptionCreate, prescriptionOf(id))
	return &core.Payment{OrderID: id, VisitNo: "V" + id, PatientNo: patientNo, Bills: []string{saved.HisNo}, Amount: 4619, Channel: "wechat", ChannelNo: "42" + id, PaidAt: paidAt}
}
