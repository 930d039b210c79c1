package rx

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/catalog"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/identity"
	"hishub/platform/order"
	"hishub/platform/patient"
)

// TestMain takes fewer random walks than is usual: each of their steps is several
// transactions.
func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", "25")
	os.Exit(servers.Main(m))
}

// world is the prescriptions among what they need: real orders and catalogue, and stand-ins
// that answer as a test says.
type world struct {
	*Service
	c        *clinictest.Clinic
	orders   *order.Service
	consult  Consult
	over     bool
	licensed error
	lapsed   int64 // whose licence is over
	cards    []string
	paid     map[string]bool // given back
	handing  []string        // what is to be handed out, and what is not any more
	acts     []clinic.Act
	noticed  []string
	drugs    *core.Drugs
}

var (
	doctor     = clinic.Person{Account: 11, Name: "测试医生", Grants: []clinic.Grant{{Role: clinic.Doctor, Hospital: "h1", Code: "D1"}, {Role: clinic.Pharmacist, Hospital: "h1", Code: "D1"}}}
	other      = clinic.Person{Account: 12, Grants: []clinic.Grant{{Role: clinic.Doctor, Hospital: "h1", Code: "D2"}}}
	pharmacist = clinic.Person{Account: 21, Grants: []clinic.Grant{{Role: clinic.Pharmacist, Hospital: "h1", Code: "P1"}}}
	right      = map[string]bool{"skin_test": true, "diagnosis": true, "dose": true, "route": true, "duplicate": true, "interaction": true, "other": true}
)

func (w *world) Active(_ context.Context, _, no, doctor string) (Consult, error) {
	switch {
	case no != w.consult.No || doctor != w.consult.DoctorCode:
		return Consult{}, clinic.ErrNotFound
	case w.over:
		return Consult{}, clinic.ErrState
	}
	return w.consult, nil
}

type consults struct{ *world }

func (w consults) Get(_ context.Context, _, no string) (Consult, error) {
	if no != w.consult.No {
		return Consult{}, clinic.ErrNotFound
	}
	return w.consult, nil
}

type patients struct{}

func (patients) Get(_ context.Context, no string) (patient.Record, error) {
	return patient.Record{No: no, Details: patient.Details{Name: "测试患者", Sex: "female", BirthDate: "1980-01-01", IDNo: "11010519800101002X"}}, nil
}

func (patients) Identity(context.Context, string, string) (patient.Identity, error) {
	return patient.Identity{PatientNo: "0000024772"}, nil
}

type licences struct{ *world }

func (w licences) Licensed(_ context.Context, account int64, _ string, kind identity.LicenceKind, _ time.Time) error {
	if account == w.lapsed {
		return fmt.Errorf("%w: the %s licence at this hospital expired on 2026-01-05", clinic.ErrRule, kind)
	}
	return w.licensed
}

type people struct{}

func (people) Account(_ context.Context, id int64) (identity.Account, error) {
	return identity.Account{ID: id, Title: "测试药师"}, nil
}

type cards struct{ *world }

func (w cards) Card(_ context.Context, _ pgx.Tx, _, _, _, _, text string) error {
	w.world.cards = append(w.world.cards, text)
	return nil
}

type payback struct{ *world }

func (w payback) GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error {
	w.world.paid[o.No] = true
	_, err := w.orders.Refund(ctx, tx, outbox, o.No, order.Refund{No: "R" + o.No, Amount: o.Amount - o.Refunded, Reason: reason})
	return err
}

type fulfilments struct{ *world }

func (w fulfilments) Start(_ context.Context, _ pgx.Tx, _, no, patient string, account int64, until time.Time) error {
	w.handing = append(w.handing, fmt.Sprintf("start %s %s %d %s", no, patient, account, until.In(time.UTC).Format(time.TimeOnly)))
	return nil
}

func (w fulfilments) Stop(_ context.Context, _ pgx.Tx, _, no string) error {
	w.handing = append(w.handing, "stop "+no)
	return nil
}

type notices struct{ *world }

func (w notices) Send(_ context.Context, _ pgx.Tx, account int64, event string, params map[string]string) error {
	w.noticed = append(w.noticed, fmt.Sprintf("%d %s %s %s", account, event, params["hospital"], params["no"]))
	return nil
}

type trail struct{ *world }

func (w trail) Keep(_ context.Context, a clinic.Act) error {
	w.acts = append(w.acts, a)
	return nil
}

func opened(t *testing.T, sm2 bool) *world {
	t.Helper()
	ctx := t.Context()
	c := clinictest.New(t)
	w := &world{c: c, paid: map[string]bool{}, orders: &order.Service{Clinic: c.Clinic}, drugs: &core.Drugs{Drugs: []core.Drug{
		{Code: "A1", Name: "阿莫西林", Unit: "盒", DoseUnit: "g", DosePerUnit: "6", Price: "12.3450"}, {Code: "B1", Name: "布洛芬", Unit: "盒", DoseUnit: "g", Price: "20.00"},
		{Code: "M1", Name: "吗啡", Unit: "支", DoseUnit: "mg", Price: "1"},
	}}}
	c.Cannot[core.ICDList], c.Cannot[core.BillUnpaid] = true, true
	c.Answer = func(_ string, kind core.Kind, body core.Body) (any, error) {
		if code := body.(*core.DictionaryQuery).Code; code != "" {
			return &core.Drugs{Drugs: slices.DeleteFunc(slices.Clone(w.drugs.Drugs), func(d core.Drug) bool { return d.Code != code })}, nil
		}
		return w.drugs, nil
	}
	drugs := &catalog.Service{Clinic: c.Clinic}
	w.consult = Consult{No: "K1", VisitNo: "V1", Patient: "PA", Account: 7, DepartmentCode: "01", DoctorCode: "D1", DoctorName: "测试医生", Complaint: "咽痛三天", StartedAt: time.Now()}
	w.Service = &Service{Clinic: c.Clinic, Consults: consults{w}, Patients: patients{}, Drugs: drugs, Orders: w.orders, Licences: licences{w}, People: people{}, Cards: cards{w}, Payback: payback{w}, Fulfilment: fulfilments{w}, Notices: notices{w},
		Signer: LocalSigner{c.Clinic, sm2}}
	w.orders.Subjects = map[order.Kind]order.Subject{order.Drugs: w.Service}
	c.Trail = func(pgx.Tx) clinic.Trail { return trail{w} }
	for _, migrate := range []func(context.Context) error{drugs.Migrate, w.orders.Migrate, w.Migrate} {
		if err := migrate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := drugs.Sync(ctx, "h1", false); err != nil {
		t.Fatal(err)
	}
	return w
}

func some() Writing {
	return Writing{Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}}, ValidDays: 2,
		Items: []Item{{Code: "A1", Qty: "2", Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 7}}}
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func must(t fataler) func(Rx, error) Rx {
	t.Helper()
	return func(rx Rx, err error) Rx {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return rx
	}
}

func (w *world) signed(t *testing.T) Rx {
	t.Helper()
	rx := must(t)(w.Write(t.Context(), doctor, "h1", "K1", "", some()))
	return must(t)(w.Sign(t.Context(), doctor, "h1", rx.No, rx.Version))
}

func (w *world) approve(t *testing.T, rx Rx) Rx {
	t.Helper()
	return must(t)(w.Review(t.Context(), pharmacist, "h1", rx.No, Verdict{Revision: rx.Revision, Approve: true, Checks: right}))
}

func (w *world) pay(t *testing.T, rx Rx) Rx {
	t.Helper()
	ctx := t.Context()
	o, err := w.orders.Get(ctx, rx.Order)
	if err == nil {
		_, err = clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
			return w.orders.MarkPaid(ctx, tx, outbox, rx.Order, order.Payment{Channel: "wechat", ChannelNo: "42" + rx.No, Amount: o.Amount, At: time.Now()})
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return must(t)(w.Get(ctx, "h1", rx.No))
}

func (w *world) take(t *testing.T, e core.Event) {
	t.Helper()
	e.Hospital = "h1"
	if err := pgx.BeginFunc(t.Context(), w.Database, func(tx pgx.Tx) error { return w.Take(t.Context(), tx, e) }); err != nil {
		t.Fatal(err)
	}
}

func kinds(w *world, t *testing.T) (all []core.Kind) {
	for _, m := range w.c.Told(t) {
		all = append(all, m.Kind)
	}
	return all
}

func TestFromDraftToDispensed(t *testing.T) {
	for _, sm2 := range []bool{false, true} {
		w := opened(t, sm2)
		ctx := t.Context()
		rx := w.signed(t)
		if rx.State != InReview || rx.Revision != 1 || rx.Content.PatientNo != "0000024772" || rx.Content.Items[0].Name != "阿莫西林" || rx.Order != "" {
			t.Fatalf("%+v", rx)
		}
		if left := rx.ValidUntil.In(rx.Content.WrittenAt.Location()); left.Format("15:04:05") != "23:59:59" || left.Day() != rx.Content.WrittenAt.AddDate(0, 0, 1).Day() {
			t.Errorf("valid until %s", left)
		}
		rx = w.approve(t, rx)
		o, err := w.orders.Get(ctx, rx.Order)
		if err != nil || o.Amount != 2469 || o.State != order.Created || o.Account != 7 || rx.State != Approved {
			t.Fatalf("%+v, %+v, %v", rx, o, err)
		}
		if len(w.c.Told(t)) != 0 {
			t.Errorf("the HIS is told before it is paid: %v", kinds(w, t))
		}
		rx = w.pay(t, rx)
		told := w.c.Told(t)
		if rx.State != Paid || !slices.Equal(kinds(w, t), []core.Kind{core.PrescriptionCreate, core.PaymentSettle}) {
			t.Fatalf("%s, told %v", rx.State, kinds(w, t))
		}
		m, p := told[0].Body.(*core.Prescription), told[1].Body.(*core.Payment)
		if m.Amount != 2469 || m.Items[0].UnitPrice != "12.3450" || m.PharmacistCode != "P1" || m.Review == nil || m.Writing.Signature == "" || m.Consultation.Complaint != "咽痛三天" || p.OrderID != o.No || p.Bills[0] != rx.No || p.VisitNo != "V1" {
			t.Errorf("%+v %+v", m, p)
		}
		w.take(t, core.Event{Type: core.EventDelivered, Kind: core.PrescriptionCreate, Key: rx.No, Receipt: &core.Receipt{HisNo: "HIS1"}})
		w.Heard = func(context.Context, int64) (core.Body, error) { return &core.DispenseNotice{No: rx.No}, nil }
		for range 2 { // told twice
			w.take(t, core.Event{Type: "inbound." + core.EventType(core.DrugsDispensed), Inbound: 5, Kind: core.DrugsDispensed})
		}
		if rx = must(t)(w.Get(ctx, "h1", rx.No)); rx.State != Dispensed || rx.HisNo != "HIS1" {
			t.Errorf("%+v", rx)
		}
		if _, err := clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
			return w.orders.Refund(ctx, tx, outbox, o.No, order.Refund{No: "R1", Amount: 2469})
		}); !errors.Is(err, clinic.ErrRule) {
			t.Errorf("money back for what was handed out: %v", err)
		}
	}
}

// On his own word a patient has back whole lines of what was not handed out, not all but a
// fen with the drugs still to be had.
func TestMoneyOnThePatientsWord(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.pay(t, w.approve(t, w.signed(t)))
	no := w.signedOrder(t, rx.No)
	o, err := w.orders.Get(ctx, no)
	if err != nil {
		t.Fatal(err)
	}
	back := func(r order.Refund) error {
		r.ByPatient = true
		return w.Transact(ctx, "h1", func(tx pgx.Tx, outbox core.Outbox) error {
			_, err := w.orders.Refund(ctx, tx, outbox, no, r)
			return err
		})
	}
	if err := back(order.Refund{No: "R1", Amount: o.Amount - 1}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("all but a fen: %v", err)
	}
	for i := range o.Lines {
		if err := back(order.Refund{No: fmt.Sprint("R2", i), Amount: o.Lines[i].Amount, Lines: []int{i}}); err != nil {
			t.Errorf("line %d: %v", i, err)
		}
	}
	if rx = must(t)(w.Get(ctx, "h1", rx.No)); rx.State != Void {
		t.Errorf("all lines went back, and it is %s", rx.State)
	}
}

// A refund of all made the prescription void; that the channel refused it does not keep the money.
func TestMoneyOfAVoidPrescriptionIsNotKept(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.pay(t, w.approve(t, w.signed(t)))
	no := w.signedOrder(t, rx.No)
	if err := w.Transact(ctx, "h1", func(tx pgx.Tx, outbox core.Outbox) error {
		o, err := w.orders.Lock(ctx, tx, no)
		if err == nil {
			_, err = w.orders.Refund(ctx, tx, outbox, no, order.Refund{No: "R1", Amount: o.Amount, Reason: "窗口", ByWindow: true})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	err := w.Transact(ctx, "h1", func(tx pgx.Tx, _ core.Outbox) error { return w.orders.Undo(ctx, tx, "R1") })
	o, _ := w.orders.Get(ctx, no)
	if rx = must(t)(w.Get(ctx, "h1", rx.No)); !errors.Is(err, order.ErrEnded) || rx.State != Void || o.State != order.Refunded {
		t.Errorf("%v; the prescription is %s, the order %s", err, rx.State, o.State)
	}
}

// Rule: what was signed never changes, and a change is found.
func TestRuleImmutable(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.signed(t)
	changed := some()
	changed.Version, changed.Items[0].Qty = rx.Version, "3"
	if _, err := w.Write(ctx, doctor, "h1", "K1", rx.No, changed); !errors.Is(err, clinic.ErrState) {
		t.Errorf("written after it was signed: %v", err)
	}
	for _, sql := range []string{`update rx.revision set content = content`, `delete from rx.revision`} {
		if _, err := w.Database.Exec(ctx, sql); err == nil {
			t.Errorf("%s is possible", sql)
		}
	}
	tamper := func(sql string) error {
		t.Helper()
		if _, err := w.Database.Exec(ctx, `alter table rx.revision disable trigger immutable; `+sql+`; alter table rx.revision enable trigger immutable`); err != nil {
			t.Fatal(err)
		}
		_, err := w.Get(ctx, "h1", rx.No)
		return err
	}
	if err := tamper(`update rx.revision set content = overlay(content placing '\x39'::bytea from octet_length(content) - 2)`); !errors.Is(err, ErrTampered) {
		t.Errorf("a byte was changed: %v", err)
	}
	if err := tamper(`update rx.revision set hash = sha256(substring(content from position('\x7b'::bytea in content)))`); !errors.Is(err, ErrSignature) {
		t.Errorf("and the hash, too: %v", err)
	}
	if err := tamper(`update rx.revision set author = 12`); err == nil {
		t.Error("signed by another")
	}
}

// Rule: the author cannot review, in whatever role; a pharmacist rejects with a reason,
// and the doctor signs the next revision.
func TestRuleReview(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.signed(t)
	if _, err := w.Review(ctx, doctor, "h1", rx.No, Verdict{Revision: 1, Approve: true, Checks: right}); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "cannot review") {
		t.Errorf("his own: %v", err)
	}
	var ps core.Problems
	for name, v := range map[string]Verdict{
		"six checks":              {Revision: 1, Approve: true, Checks: map[string]bool{"skin_test": true}},
		"a rejection with no why": {Revision: 1, Checks: right},
		"an eighth check":         {Revision: 1, Approve: true, Checks: map[string]bool{"skin_test": true, "diagnosis": true, "dose": true, "route": true, "duplicate": true, "interaction": true, "other": true, "more": true}},
	} {
		if _, err := w.Review(ctx, pharmacist, "h1", rx.No, v); !errors.As(err, &ps) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := map[string]bool{"skin_test": true, "diagnosis": true, "dose": false, "route": true, "duplicate": true, "interaction": true, "other": true}
	if _, err := w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Approve: true, Checks: wrong, Reason: "可以"}); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "double sign") {
		t.Errorf("rule double sign: %v", err)
	}
	rx = must(t)(w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Checks: wrong, Reason: "剂量偏大"}))
	if rx.State != Rejected || rx.Why != "剂量偏大" {
		t.Fatalf("%+v", rx)
	}
	again := some()
	again.Version, again.Items[0].Dose = rx.Version, "0.1"
	if _, err := w.Write(ctx, other, "h1", "K1", rx.No, again); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another doctor writes it: %v", err)
	}
	rx = must(t)(w.Write(ctx, doctor, "h1", "K1", rx.No, again))
	if _, err := w.Sign(ctx, doctor, "h1", rx.No, rx.Version-1); !errors.Is(err, clinic.ErrState) {
		t.Errorf("signs what he did not see: %v", err)
	}
	// The packs last far longer now: a warning, which the doctor answers for.
	var refused *Refused
	if _, err := w.Sign(ctx, doctor, "h1", rx.No, rx.Version); !errors.As(err, &refused) || refused.Hits[0].Rule != "quantity" {
		t.Fatalf("%v", err)
	}
	again.Version, again.Answers = rx.Version, []Answer{{Hit: refused.Hits[0], Reason: "备用"}}
	rx = must(t)(w.Write(ctx, doctor, "h1", "K1", rx.No, again))
	rx = must(t)(w.Sign(ctx, doctor, "h1", rx.No, rx.Version))
	if rx.State != InReview || rx.Revision != 2 || rx.Content.Items[0].Dose != "0.1" {
		t.Fatalf("%+v", rx)
	}
	if _, err := w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Approve: true, Checks: right}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("approves what he did not see: %v", err)
	}
	rx = must(t)(w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 2, Approve: true, Checks: wrong, Reason: "医生已说明"}))
	if rx.State != Approved {
		t.Errorf("signed twice: %+v", rx)
	}
}

// Rule: unreviewed is neither paid nor sent; there is no order that could be paid.
func TestRuleUnreviewed(t *testing.T) {
	w := opened(t, false)
	rx := w.signed(t)
	_, err := clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (any, error) {
		return nil, w.Paid(t.Context(), tx, outbox, order.Order{No: "O", Hospital: "h1", Subject: rx.No}, order.Payment{Amount: 1})
	})
	if !errors.Is(err, clinic.ErrState) || rx.Order != "" || len(w.c.Told(t)) != 0 {
		t.Errorf("%v, order %q, told %v", err, rx.Order, kinds(w, t))
	}
}

// Rules: only in a consultation of one's own that is going on, and with a licence.
func TestRuleOwnConsultAndLicence(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	if _, err := w.Write(ctx, other, "h1", "K1", "", some()); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another doctor's consultation: %v", err)
	}
	rx := must(t)(w.Write(ctx, doctor, "h1", "K1", "", some()))
	w.over = true
	if _, err := w.Sign(ctx, doctor, "h1", rx.No, rx.Version); !errors.Is(err, clinic.ErrState) {
		t.Errorf("signed after the consultation: %v", err)
	}
	w.over, w.licensed = false, clinic.ErrRule
	if _, err := w.Sign(ctx, doctor, "h1", rx.No, rx.Version); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("rule licence: signed with an expired one: %v", err)
	}
	w.licensed = nil
	rx = must(t)(w.Sign(ctx, doctor, "h1", rx.No, rx.Version))
	w.licensed = clinic.ErrRule
	if _, err := w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Approve: true, Checks: right}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("rule licence: reviewed with an expired one: %v", err)
	}
}

// Rule licence of the author: one that was valid when he signed, and is over on the day of the
// review, approves nothing. One that is over later stops no payment.
func TestRuleAuthorsLicenceOnTheDayOfReview(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.signed(t)
	w.lapsed = doctor.Account
	_, err := w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Approve: true, Checks: right})
	if !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "doctor who signed") || !strings.Contains(err.Error(), "physician licence") {
		t.Errorf("approved: %v", err)
	}
	if now := must(t)(w.Get(ctx, "h1", rx.No)); now.State != InReview || now.Order != "" {
		t.Errorf("%s, order %q", now.State, now.Order)
	}
	if rx = must(t)(w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Checks: right, Reason: "医生执业证已过期"})); rx.State != Rejected {
		t.Errorf("rejected: %s", rx.State)
	}
	w.lapsed = 0
	approved := w.approve(t, w.signed(t))
	w.lapsed = doctor.Account
	if paid := w.pay(t, approved); paid.State != Paid {
		t.Errorf("over since the review: %s", paid.State)
	}
}

func TestWhatStopsIsNotSigned(t *testing.T) {
	w := opened(t, false)
	in := some()
	in.Items[0] = Item{Code: "M1", Qty: "1", Dose: "1", DoseUnit: "mg", Frequency: "st", Route: "oral", Days: 1}
	rx := must(t)(w.Write(t.Context(), doctor, "h1", "K1", "", in))
	if len(rx.Hits) != 1 || rx.Hits[0].Rule != "class" {
		t.Fatalf("%+v", rx.Hits)
	}
	in.Version, in.Answers = rx.Version, []Answer{{Hit: rx.Hits[0], Reason: "疼"}}
	rx = must(t)(w.Write(t.Context(), doctor, "h1", "K1", rx.No, in))
	var refused *Refused
	if _, err := w.Sign(t.Context(), doctor, "h1", rx.No, rx.Version); !errors.As(err, &refused) || !errors.Is(err, clinic.ErrRule) {
		t.Errorf("%v", err)
	}
	in = some()
	in.ValidDays = 4
	var ps core.Problems
	if _, err := w.Write(t.Context(), doctor, "h1", "K1", "", in); !errors.As(err, &ps) || !strings.Contains(ps[0].What, "rule validity") {
		t.Errorf("rule validity: %v", err)
	}
}

// The price is asked again right before paying.
func TestPriceIsAskedAgain(t *testing.T) {
	w := opened(t, false)
	rx := w.approve(t, w.signed(t))
	w.drugs.Drugs[0].Price = "13.0000"
	var changed *order.PriceChanged
	if o, err := w.orders.Reprice(t.Context(), rx.Order, 1); !errors.As(err, &changed) || changed.Is != 2600 || o.Amount != 2600 {
		t.Errorf("%+v, %v", o, err)
	}
	rx = w.pay(t, rx)
	if m := w.c.Told(t)[0].Body.(*core.Prescription); m.Amount != 2600 || m.Items[0].UnitPrice != "13.0000" {
		t.Errorf("%+v", m)
	}
	must(t)(w.Get(t.Context(), "h1", rx.No)) // the signature holds: it has no price
}

// A HIS that makes the bill is told when it is approved; what is not paid is void there.
func TestToldWhenApproved(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	if err := w.TellWhen(ctx, "h1", tellApproved); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("a HIS without bills: %v", err)
	}
	delete(w.c.Cannot, core.BillUnpaid)
	if err := w.TellWhen(ctx, "h1", tellApproved); err != nil {
		t.Fatal(err)
	}
	paid, unpaid := w.approve(t, w.signed(t)), w.approve(t, w.signed(t))
	bills := &core.Bills{}
	w.c.Answer = func(string, core.Kind, core.Body) (any, error) { return bills, nil }
	if _, err := w.orders.Reprice(ctx, paid.Order, 1); !errors.Is(err, clinic.ErrState) {
		t.Errorf("there is no bill yet: %v", err)
	}
	bills.Bills = []core.Bill{{BillNo: "B0", PrescriptionNo: "other", Amount: 1}, {BillNo: "B7", PrescriptionNo: paid.No, Amount: 2400, Lines: []core.BillLine{{LineNo: "1", Name: "阿莫西林", UnitPrice: "12.00", Amount: 2400}}}}
	var changed *order.PriceChanged
	if _, err := w.orders.Reprice(ctx, paid.Order, 1); !errors.As(err, &changed) {
		t.Fatal(err)
	}
	w.take(t, core.Event{Type: core.EventDelivered, Kind: core.PrescriptionCreate, Key: paid.No, Receipt: &core.Receipt{HisNo: "HIS1"}})
	if paid = w.pay(t, paid); paid.State != SentHIS {
		t.Errorf("%+v", paid)
	}
	if _, err := w.Database.Exec(ctx, `update clinic_order.orders set expires_at = clock_timestamp() where no = $1`, unpaid.Order); err != nil {
		t.Fatal(err)
	}
	if _, err := w.orders.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	told := w.c.Told(t)
	if want := []core.Kind{core.PrescriptionCreate, core.PrescriptionCreate, core.PaymentSettle, core.PrescriptionVoid}; !slices.Equal(kinds(w, t), want) || told[3].Body.(*core.PrescriptionVoiding).No != unpaid.No || told[2].Body.(*core.Payment).Bills[0] != "B7" {
		t.Errorf("told %v", kinds(w, t))
	}
	if rx := must(t)(w.Get(ctx, "h1", unpaid.No)); rx.State != Expired {
		t.Errorf("%+v", rx)
	}
}

func TestVoidGivesTheMoneyBack(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.pay(t, w.approve(t, w.signed(t)))
	if _, err := w.Void(ctx, other, "h1", rx.No, "误开"); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another doctor's: %v", err)
	}
	rx = must(t)(w.Void(ctx, doctor, "h1", rx.No, "误开"))
	o, err := w.orders.Get(ctx, w.signedOrder(t, rx.No))
	if want := []string{"start " + rx.No + " PA 7 15:59:59", "stop " + rx.No}; !slices.Equal(w.handing, want) {
		t.Errorf("handing out: %v, want %v", w.handing, want)
	}
	if want := []string{"7 prescription.approved h1 " + rx.No, "7 prescription.void h1 " + rx.No}; !slices.Equal(w.noticed, want) {
		t.Errorf("noticed: %v, want %v", w.noticed, want)
	}
	if err != nil || rx.State != Void || o.State != order.Refunded || !slices.Equal(kinds(w, t), []core.Kind{core.PrescriptionCreate, core.PaymentSettle, core.PrescriptionVoid}) {
		t.Errorf("%s, order %s, told %v, %v", rx.State, o.State, kinds(w, t), err)
	}
	// Before it is paid, its order closes with it and the HIS hears nothing.
	rx = w.approve(t, w.signed(t))
	rx2 := must(t)(w.Void(ctx, pharmacist, "h1", rx.No, "缺药"))
	if o, err = w.orders.Get(ctx, rx.Order); err != nil || rx2.State != Void || o.State != order.Closed || len(w.c.Told(t)) != 3 {
		t.Errorf("%s, order %s, told %v, %v", rx2.State, o.State, kinds(w, t), err)
	}
}

func (w *world) signedOrder(t *testing.T, no string) (order string) {
	t.Helper()
	if err := w.Database.QueryRow(t.Context(), `select no from clinic_order.orders where subject = $1`, no).Scan(&order); err != nil {
		t.Fatal(err)
	}
	return order
}

// Rule: its last day over, a prescription is expired, also before the job comes.
func TestRuleValidity(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	rx := w.signed(t)
	if _, err := w.Database.Exec(ctx, `update rx.prescription set valid_until = clock_timestamp() where no = $1`, rx.No); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Review(ctx, pharmacist, "h1", rx.No, Verdict{Revision: 1, Approve: true, Checks: right}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("approved after its last day: %v", err)
	}
	if waiting, err := w.Reviewing(ctx, "h1", 10); err != nil || len(waiting) != 0 {
		t.Errorf("%d wait, %v", len(waiting), err)
	}
	if err := w.expire(ctx); err != nil {
		t.Fatal(err)
	}
	var state State
	if err := w.Database.QueryRow(ctx, `select state from rx.prescription`).Scan(&state); err != nil || state != Expired {
		t.Errorf("%s, %v", state, err)
	}
}

// TestRandomCommands: whatever comes in whatever order, the states keep to their table, and
// what fails changes nothing.
func TestRandomCommands(t *testing.T) {
	w := opened(t, true)
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		rx := must(t)(w.Write(ctx, doctor, "h1", "K1", "", some()))
		do := func(f func() error) {
			before := must(t)(w.Get(ctx, "h1", rx.No))
			failed := f()
			after := must(t)(w.Get(ctx, "h1", rx.No))
			switch {
			case failed != nil && (after.State != before.State || after.Revision != before.Revision || after.Order != before.Order):
				t.Fatalf("%v, and yet %s became %s", failed, before.State, after.State)
			case after.State != before.State && !slices.Contains(States[before.State], after.State) && !(before.State == Approved && after.State == SentHIS):
				t.Fatalf("%s became %s", before.State, after.State)
			case (after.State == Approved) != (after.Order != "" && after.State == Approved):
				t.Fatalf("%s with order %q", after.State, after.Order)
			}
			rx = after
		}
		event := func(kind core.Kind, e core.EventType) func(*rapid.T) {
			return func(*rapid.T) {
				do(func() error {
					return pgx.BeginFunc(ctx, w.Database, func(tx pgx.Tx) error {
						return w.Take(ctx, tx, core.Event{Hospital: "h1", Kind: kind, Type: e, Key: rx.No, Receipt: &core.Receipt{HisNo: "H"}})
					})
				})
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(*rapid.T) {
				do(func() error {
					in := some()
					in.Version = rx.Version
					_, err := w.Write(ctx, doctor, "h1", "K1", rx.No, in)
					return err
				})
			},
			"sign": func(*rapid.T) {
				do(func() error { _, err := w.Sign(ctx, doctor, "h1", rx.No, rx.Version); return err })
			},
			"review": func(t *rapid.T) {
				v := Verdict{Revision: rx.Revision, Approve: rapid.Bool().Draw(t, "approve"), Checks: right, Reason: "r"}
				do(func() error { _, err := w.Review(ctx, pharmacist, "h1", rx.No, v); return err })
			},
			"pay": func(*rapid.T) {
				do(func() error {
					o, err := w.orders.OfSubject(ctx, w.Database, "h1", order.Drugs, rx.No)
					if err != nil {
						return err
					}
					_, err = clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
						return w.orders.MarkPaid(ctx, tx, outbox, o.No, order.Payment{Channel: "wechat", ChannelNo: "4", Amount: o.Amount, At: time.Now()})
					})
					return err
				})
			},
			"void": func(*rapid.T) { do(func() error { _, err := w.Void(ctx, doctor, "h1", rx.No, "r"); return err }) },
			"hand": func(t *rapid.T) {
				back := rapid.Bool().Draw(t, "returned")
				do(func() error {
					return pgx.BeginFunc(ctx, w.Database, func(tx pgx.Tx) error { return w.Hand(ctx, tx, "h1", rx.No, back) })
				})
			},
			"told":   event(core.PrescriptionCreate, core.EventDelivered),
			"parked": event(core.PrescriptionCreate, core.EventParked),
			"voided": event(core.PrescriptionVoid, core.EventDelivered),
		})
	})
}

// Who signs is told to those who want to know it, by the number that his hospital gave.
func TestSignatories(t *testing.T) {
	w := opened(t, false)
	ctx := t.Context()
	admin := clinic.Person{Account: 31}
	const number = "11010519491231002X"
	var ps core.Problems
	if err := w.Identify(ctx, admin, "h1", doctor.Account, "110105194912310021"); !errors.As(err, &ps) || strings.Contains(err.Error(), "194912") {
		t.Errorf("a wrong check digit: %v", err)
	}
	if err := w.Identify(ctx, doctor, "h1", doctor.Account, number); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("his own: %v", err)
	}
	w.licensed = clinic.ErrRule
	if err := w.Identify(ctx, admin, "h1", doctor.Account, number); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("who signs nothing: %v", err)
	}
	w.licensed = nil
	for _, account := range []int64{doctor.Account, doctor.Account, pharmacist.Account} {
		if err := w.Identify(ctx, admin, "h1", account, number); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.acts) != 3 || w.acts[2].Subject != "account 21" || strings.Contains(fmt.Sprint(w.acts), number) {
		t.Errorf("%+v", w.acts)
	}
	w.pay(t, w.approve(t, w.signed(t)))
	m := w.c.Told(t)[0].Body.(*core.Prescription)
	if m.Writing.DoctorIDNo != number || m.Review.PharmacistIDNo != number {
		t.Errorf("%+v %+v", m.Writing, m.Review)
	}
}
