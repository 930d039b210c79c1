package consult

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
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/directory"
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

// world is the consultations among what they need: real orders, and stand-ins that answer
// as a test says.
type world struct {
	*Service
	c        *clinictest.Clinic
	orders   *order.Service
	who      patient.Record
	bookable error
	identity error
	licensed error
	consent  error
	chat     []string
	notices  []string
	back     int
}

var (
	mother  = clinic.Person{Account: 7, Grants: []clinic.Grant{{Role: clinic.Patient}}}
	another = clinic.Person{Account: 8, Grants: []clinic.Grant{{Role: clinic.Patient}}}
	doctor  = clinic.Person{Account: 11, Grants: []clinic.Grant{{Role: clinic.Doctor, Hospital: "h1", Code: "D1"}}}
	other   = clinic.Person{Account: 12, Grants: []clinic.Grant{{Role: clinic.Doctor, Hospital: "h1", Code: "D2"}}}
)

func (w *world) Bookable(context.Context, int64, string) (patient.Record, error) {
	return w.who, w.bookable
}

func (w *world) Identity(context.Context, string, string) (patient.Identity, error) {
	return patient.Identity{PatientNo: "1"}, w.identity
}

// patients are the world's, of whom one is known.
type patients struct{ *world }

func (w patients) Get(context.Context, string) (patient.Record, error) { return w.who, nil }

// noticed notes what people are told.
type noticed struct{ *world }

func (w noticed) Send(_ context.Context, _ pgx.Tx, account int64, event string, params map[string]string) error {
	w.notices = append(w.notices, fmt.Sprint(account, " ", event, " ", params["hospital"], " ", params["no"]))
	return nil
}

type people struct{ *world }

func (w people) Licensed(context.Context, int64, string, identity.LicenceKind, time.Time) error {
	return w.licensed
}
func (w people) Consented(context.Context, int64, identity.ConsentKind) error { return w.consent }

type doctors struct{}

func (doctors) Doctor(context.Context, string, string) (directory.Doctor, error) {
	return directory.Doctor{Name: "测试医生"}, nil
}
func (doctors) Departments(context.Context, string) ([]directory.Department, error) {
	return []directory.Department{{Code: "01", Name: "内科"}}, nil
}

type chat struct{ *world }

func (w chat) Open(_ context.Context, _ pgx.Tx, _, subject, _ string, patient, doctor int64) (string, error) {
	w.world.chat = append(w.world.chat, "open")
	return "C" + subject, nil
}
func (w chat) Card(_ context.Context, _ pgx.Tx, _, _, _, text string) error {
	w.world.chat = append(w.world.chat, text)
	return nil
}
func (w chat) Close(context.Context, pgx.Tx, string) error {
	w.world.chat = append(w.world.chat, "close")
	return nil
}

func (w *world) GiveBack(ctx context.Context, tx pgx.Tx, outbox core.Outbox, o order.Order, reason string) error {
	w.back++
	_, err := w.orders.Refund(ctx, tx, outbox, o.No, order.Refund{No: "R" + o.No, Amount: o.Amount - o.Refunded, Reason: reason})
	return err
}

func opened(t *testing.T) *world {
	t.Helper()
	c := clinictest.New(t)
	w := &world{c: c, orders: &order.Service{Clinic: c.Clinic}, who: patient.Record{Details: patient.Details{BirthDate: "1980-01-01"}, Verified: true}}
	w.Service = &Service{Clinic: c.Clinic, Patients: patients{w}, Doctors: doctors{}, People: people{w}, Orders: w.orders, Payback: w, Chat: chat{w}, Notices: noticed{w}}
	w.orders.Subjects = map[order.Kind]order.Subject{order.Consultation: w.Service}
	for _, migrate := range []func(context.Context) error{w.orders.Migrate, w.Migrate} {
		if err := migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.offer(t, 2000, 100)
	return w
}

func (w *world) offer(t *testing.T, fee core.Fen, daily int) {
	t.Helper()
	if _, err := w.SetOffer(t.Context(), "h1", doctor.Account, Offer{Doctor: "D1", Department: "01", Fee: fee, AcceptWithin: 60, Lasts: 30, Daily: daily, Open: true}); err != nil {
		t.Fatal(err)
	}
}

func told() Details {
	return Details{Complaint: "咳嗽复诊", Proof: Proof{Hospital: "测试医院", Diagnosis: "支气管炎", Date: "2026-01-05"}}
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func must(t fataler) func(Consult, error) Consult {
	t.Helper()
	return func(k Consult, err error) Consult {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

func (w *world) pay(ctx context.Context, k Consult) error {
	_, err := clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
		return w.orders.MarkPaid(ctx, tx, outbox, k.Order, order.Payment{Channel: "wechat", ChannelNo: "42" + k.No, Amount: k.Fee, At: time.Now()})
	})
	return err
}

func (w *world) waiting(t *testing.T) Consult {
	t.Helper()
	k := must(t)(w.Open(t.Context(), mother, "h1", "D1", "P1", told()))
	if err := w.pay(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	return must(t)(w.Get(t.Context(), "h1", k.No))
}

func (w *world) state(t *testing.T, no string) State {
	t.Helper()
	var s State
	if err := w.Database.QueryRow(t.Context(), `select state from consult.consult where no = $1`, no).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFromOpenToSummary(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	k := must(t)(w.Open(ctx, mother, "h1", "D1", "P1", told()))
	if k.State != Created || k.Order == "" || k.Fee != 2000 || k.Details.Proof.Diagnosis != "支气管炎" {
		t.Fatalf("%+v", k)
	}
	if _, err := w.Open(ctx, mother, "h1", "D1", "P1", told()); !errors.Is(err, clinic.ErrState) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := w.Accept(ctx, doctor, "h1", k.No, true); !errors.Is(err, clinic.ErrState) {
		t.Errorf("accepted before it is paid: %v", err)
	}
	if err := w.pay(ctx, k); err != nil {
		t.Fatal(err)
	}
	if k = must(t)(w.Get(ctx, "h1", k.No)); k.State != Waiting || k.AcceptUntil == nil {
		t.Fatalf("%+v", k)
	}
	if m := w.c.Told(t); len(m) != 1 || m[0].Kind != core.RecordMoney {
		t.Errorf("told %+v", m)
	}
	if _, err := w.Accept(ctx, other, "h1", k.No, true); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another doctor accepts: %v", err)
	}
	if _, err := w.Accept(ctx, doctor, "h1", k.No, false); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "follow-up") {
		t.Errorf("rule follow-up: %v", err)
	}
	k = must(t)(w.Accept(ctx, doctor, "h1", k.No, true))
	if k.State != Active || k.Conversation != "C"+k.No || k.EndsAt.Sub(*k.StartedAt) != 30*time.Minute {
		t.Fatalf("%+v", k)
	}
	if seen, err := w.Rx().Active(ctx, "h1", k.No, "D1"); err != nil || seen.Account != 7 || seen.DepartmentName != "内科" || seen.VisitNo != k.No {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := w.Rx().Active(ctx, "h1", k.No, "D2"); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another doctor prescribes: %v", err)
	}
	if _, err := w.Cancel(ctx, mother, k.No); !errors.Is(err, clinic.ErrState) {
		t.Errorf("cancelled while it goes on: %v", err)
	}
	k = must(t)(w.End(ctx, doctor, "h1", k.No, Summary{Diagnosis: "支气管炎", Advice: "多喝水"}))
	if k.State != Ended || k.Summary.Advice != "多喝水" {
		t.Fatalf("%+v", k)
	}
	if _, err := w.Rx().Active(ctx, "h1", k.No, "D1"); !errors.Is(err, clinic.ErrState) {
		t.Errorf("prescribes after the end: %v", err)
	}
	k = must(t)(w.End(ctx, doctor, "h1", k.No, Summary{Diagnosis: "支气管炎", Advice: "休息"})) // writes it again
	if k.Summary.Advice != "休息" || !slices.Equal(w.chat, []string{"open", "本次复诊已结束", "close"}) {
		t.Errorf("%+v, chat %q", k.Summary, w.chat)
	}
	must(t)(w.Rate(ctx, mother, k.No, 5))
	if _, err := w.Rate(ctx, mother, k.No, 1); !errors.Is(err, clinic.ErrState) {
		t.Errorf("rated twice: %v", err)
	}
	if _, err := w.Database.Exec(ctx, `update consult.consult set ended_at = ended_at - interval '8 days'`); err != nil {
		t.Fatal(err)
	}
	if err := w.times(ctx); err != nil || w.state(t, k.No) != Archived {
		t.Errorf("%s, %v", w.state(t, k.No), err)
	}
	if _, err := w.End(ctx, doctor, "h1", k.No, Summary{Diagnosis: "x", Advice: "x"}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("written into the archive: %v", err)
	}
	if w.back != 0 {
		t.Error("money went back")
	}
}

// Refused, timed out and cancelled by the patient: the money goes back each time, once.
func TestMoneyGoesBack(t *testing.T) {
	for _, c := range []struct {
		want State
		do   func(t *testing.T, w *world, k Consult)
	}{
		{Refused, func(t *testing.T, w *world, k Consult) {
			k = must(t)(w.Refuse(t.Context(), doctor, "h1", k.No, "请到医院就诊"))
			if k.Why != "请到医院就诊" {
				t.Errorf("%+v", k)
			}
		}},
		{Cancelled, func(t *testing.T, w *world, k Consult) {
			if _, err := w.Cancel(t.Context(), another, k.No); !errors.Is(err, clinic.ErrNotFound) {
				t.Errorf("another's: %v", err)
			}
			must(t)(w.Cancel(t.Context(), mother, k.No))
		}},
		{TimedOut, func(t *testing.T, w *world, k Consult) {
			if _, err := w.Database.Exec(t.Context(), `update consult.consult set accept_until = clock_timestamp()`); err != nil {
				t.Fatal(err)
			}
			if k = must(t)(w.Get(t.Context(), "h1", k.No)); k.State != TimedOut {
				t.Errorf("before the job: %s", k.State)
			}
			if _, err := w.Accept(t.Context(), doctor, "h1", k.No, true); !errors.Is(err, clinic.ErrState) {
				t.Errorf("accepted too late: %v", err)
			}
			for range 2 {
				if err := w.times(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		w := opened(t)
		k := w.waiting(t)
		c.do(t, w, k)
		o, err := w.orders.Get(t.Context(), k.Order)
		if err != nil || w.state(t, k.No) != c.want || w.back != 1 || o.State != order.Refunded {
			t.Errorf("%s: %s, %d times back, order %s, %v", c.want, w.state(t, k.No), w.back, o.State, err)
		}
	}
}

func TestWhatIsNotPaidIsCancelled(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	k := must(t)(w.Open(ctx, mother, "h1", "D1", "P1", told()))
	if _, err := w.Database.Exec(ctx, `update clinic_order.orders set expires_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	if n, err := w.orders.Expire(ctx); n != 1 || err != nil || w.state(t, k.No) != Cancelled {
		t.Errorf("%d, %s, %v", n, w.state(t, k.No), err)
	}
	k = must(t)(w.Open(ctx, mother, "h1", "D1", "P1", told()))
	must(t)(w.Cancel(ctx, mother, k.No))
	if o, err := w.orders.Get(ctx, k.Order); err != nil || o.State != order.Closed || w.back != 0 {
		t.Errorf("%+v, %d back, %v", o, w.back, err)
	}
}

func TestItEndsByItself(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	k := must(t)(w.Accept(ctx, doctor, "h1", w.waiting(t).No, true))
	if _, err := w.Database.Exec(ctx, `update consult.consult set ends_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.times(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if w.state(t, k.No) != Ended || !slices.Equal(w.chat, []string{"open", "本次复诊已结束", "close"}) {
		t.Errorf("%s, chat %q", w.state(t, k.No), w.chat)
	}
}

func TestOneForNothingWaitsAtOnce(t *testing.T) {
	w := opened(t)
	w.offer(t, 0, 100)
	k := must(t)(w.Open(t.Context(), mother, "h1", "D1", "P1", told()))
	if k.State != Waiting {
		t.Fatalf("%+v", k)
	}
	must(t)(w.Refuse(t.Context(), doctor, "h1", k.No, "r"))
	if w.back != 0 || len(w.c.Told(t)) != 0 {
		t.Errorf("%d back, told %v", w.back, w.c.Told(t))
	}
}

// The rules that keep a consultation from being opened, each by its name.
func TestRulesOfOpening(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	open := func(d Details) error { _, err := w.Open(ctx, mother, "h1", "D1", "P1", d); return err }
	missing := told()
	missing.Proof.Diagnosis = " "
	future := told()
	future.Proof.Date = "2999-01-01"
	for name, d := range map[string]Details{"rule follow-up": missing, "rule follow-up, in the future": future} {
		var ps core.Problems
		if err := open(d); !errors.As(err, &ps) || !strings.Contains(ps[0].What, "follow-up") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, set := range map[string]*error{"rule consent": &w.consent, "rule real name": &w.bookable, "rule licence": &w.licensed, "a hospital that knows him": &w.identity} {
		*set = clinic.ErrRule
		if err := open(told()); !errors.Is(err, clinic.ErrRule) {
			t.Errorf("%s: %v", name, err)
		}
		*set = nil
	}
	w.who.BirthDate = time.Now().AddDate(-5, 0, 0).Format(time.DateOnly)
	if err := open(told()); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "guardian") {
		t.Errorf("rule guardian: %v", err)
	}
	w.who.Guardian = &core.Guardian{Name: "测试"}
	w.offer(t, 2000, 1)
	if err := open(told()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(ctx, mother, "h1", "D1", "P2", told()); !errors.Is(err, clinic.ErrState) {
		t.Errorf("more than the doctor's daily: %v", err)
	}
	if _, err := w.Open(ctx, mother, "h1", "D9", "P1", told()); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("a doctor who offers nothing: %v", err)
	}
	himself := doctor
	if _, err := w.Open(ctx, himself, "h1", "D1", "P3", told()); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("with himself: %v", err)
	}
}

// TestRandomCommands: whatever comes in whatever order, the states keep to their table,
// what fails changes nothing, and money goes back exactly where the table says so.
func TestRandomCommands(t *testing.T) {
	w := opened(t)
	w.offer(t, 2000, 500)
	ctx := context.Background()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		w.back = 0
		k := must(t)(w.Open(ctx, mother, "h1", "D1", "P"+time.Now().Format("150405.000000000"), told()))
		first := k.Order
		read := func() Consult {
			k, err := w.one(ctx, w.Database, `no = $1`, k.No)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		do := func(f func() error) {
			before := read()
			failed := f()
			after := read()
			switch {
			case failed != nil && after.State != before.State:
				t.Fatalf("%v, and yet %s became %s", failed, before.State, after.State)
			case after.State != before.State && !slices.Contains(States[before.State], after.State):
				t.Fatalf("%s became %s", before.State, after.State)
			}
		}
		job := func(column string) func(*rapid.T) {
			return func(*rapid.T) {
				do(func() error {
					if _, err := w.Database.Exec(ctx, `update consult.consult set `+column+` = clock_timestamp() - interval '8 days' where no = $1 and `+column+` is not null`, k.No); err != nil {
						return err
					}
					return w.times(ctx)
				})
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"pay":    func(*rapid.T) { do(func() error { return w.pay(ctx, Consult{No: k.No, Order: first, Fee: 2000}) }) },
			"accept": func(*rapid.T) { do(func() error { _, err := w.Accept(ctx, doctor, "h1", k.No, true); return err }) },
			"refuse": func(*rapid.T) { do(func() error { _, err := w.Refuse(ctx, doctor, "h1", k.No, "r"); return err }) },
			"cancel": func(*rapid.T) { do(func() error { _, err := w.Cancel(ctx, mother, k.No); return err }) },
			"end": func(*rapid.T) {
				do(func() error { _, err := w.End(ctx, doctor, "h1", k.No, Summary{"d", "a", false}); return err })
			},
			"time out":  job("accept_until"),
			"time over": job("ends_at"),
			"archive":   job("ended_at"),
		})
		o, err := w.orders.Get(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		back := map[State]bool{Refused: true, TimedOut: true, Cancelled: o.PaidAt != nil}[read().State]
		if (w.back == 1) != back || w.back > 1 || (o.State == order.Refunded) != back {
			t.Fatalf("%s: %d times back, order %s", read().State, w.back, o.State)
		}
	})
}

// Lists name the order that pays, as one consultation does, also once its money is back;
// and a hospital that is none has no offers.
func TestListsNameTheOrder(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	k := must(t)(w.Open(ctx, mother, "h1", "D1", "P1", told()))
	from := must(t)(w.Open(ctx, another, "h1", "D1", "P2", told())) // from before it was kept
	if _, err := w.Database.Exec(ctx, `update consult.consult set order_no = '' where no = $1`, from.No); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[int64]string{mother.Account: k.Order, another.Account: from.Order} {
		all, err := w.OfAccount(ctx, account, "", 10)
		if err != nil || len(all) != 1 || all[0].Order != want || want == "" {
			t.Errorf("%+v, %v; want the order %q", all, err, want)
		}
	}
	if _, err := clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
		return w.orders.MarkPaid(ctx, tx, outbox, k.Order, order.Payment{Channel: "wechat", ChannelNo: "42", Amount: 2000, At: time.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	if all, err := w.OfDoctor(ctx, "h1", doctor.Account, Waiting, 10); err != nil || len(all) != 1 || all[0].Order != k.Order {
		t.Errorf("%+v, %v", all, err)
	}
	if k = must(t)(w.Refuse(ctx, doctor, "h1", k.No, "不是复诊")); k.Order == "" || k.State != Refused {
		t.Errorf("%+v", k)
	}
	if _, err := w.Offers(ctx, "h9"); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("offers of no hospital: %v", err)
	}
}

// The patient is told what the doctor did, or did not do; and a doctor knows whom he
// treats, other doctors and the patient's lists do not.
func TestPatientAndDoctorKnowOfEachOther(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	w.who.Name, w.who.Sex, w.who.BirthDate = "测试患者", "female", time.Now().AddDate(-5, 0, -1).Format(time.DateOnly)
	w.who.Guardian = &core.Guardian{Name: "测试母亲"}
	pay := func() Consult {
		t.Helper()
		k := must(t)(w.Open(ctx, mother, "h1", "D1", "P1", told()))
		if _, err := clinictest.Do(w.c, func(tx pgx.Tx, outbox core.Outbox) (order.Order, error) {
			return w.orders.MarkPaid(ctx, tx, outbox, k.Order, order.Payment{Channel: "wechat", ChannelNo: "42", Amount: 2000, At: time.Now()})
		}); err != nil {
			t.Fatal(err)
		}
		return k
	}
	refused := pay()
	must(t)(w.Refuse(ctx, doctor, "h1", refused.No, "不是复诊"))
	late := pay()
	if _, err := w.Database.Exec(ctx, `update consult.consult set accept_until = clock_timestamp() where no = $1`, late.No); err != nil {
		t.Fatal(err)
	}
	if err := w.times(ctx); err != nil {
		t.Fatal(err)
	}
	k := pay()
	must(t)(w.Accept(ctx, doctor, "h1", k.No, true))
	if want := []string{"7 consult.refused h1 " + refused.No, "7 consult.timed_out h1 " + late.No, "7 consult.accepted h1 " + k.No}; !slices.Equal(w.notices, want) {
		t.Errorf("told %v, want %v", w.notices, want)
	}
	seen := must(t)(w.OwnOfDoctor(ctx, "h1", doctor.Account, k.No))
	if seen.Who == nil || seen.Who.Name != "测试患者" || seen.Who.Age != 5 || seen.Who.Sex != "female" || seen.Who.Guardian == nil {
		t.Errorf("%+v", seen.Who)
	}
	if _, err := w.OwnOfDoctor(ctx, "h1", other.Account, k.No); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another doctor: %v", err)
	}
	if all, err := w.OfAccount(ctx, mother.Account, "", 10); err != nil || all[0].Who != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// On the patient's own word nothing goes back of a consultation that began: finance decides,
// once it is over. One that nobody accepted is cancelled instead.
func TestMoneyOnThePatientsWord(t *testing.T) {
	w := opened(t)
	ctx := t.Context()
	k := w.waiting(t)
	back := func(no string, amount core.Fen, patient bool) error {
		return w.Transact(ctx, "h1", func(tx pgx.Tx, outbox core.Outbox) error {
			_, err := w.orders.Refund(ctx, tx, outbox, k.Order, order.Refund{No: no, Amount: amount, ByPatient: patient, Reason: "不需要了"})
			return err
		})
	}
	if err := back("R1", 2000, true); !errors.Is(err, clinic.ErrState) || !strings.Contains(err.Error(), "cancel") {
		t.Errorf("it waits: %v", err)
	}
	k = must(t)(w.Accept(ctx, doctor, "h1", k.No, true))
	if err := back("R2", 2000, true); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("it goes on: %v", err)
	}
	k = must(t)(w.End(ctx, doctor, "h1", k.No, Summary{}))
	for _, amount := range []core.Fen{1, 2000} {
		if err := back("R3", amount, true); !errors.Is(err, clinic.ErrRule) {
			t.Errorf("%s of one that took place: %v", amount, err)
		}
	}
	if err := back("R4", 500, false); err != nil || w.state(t, k.No) != Ended {
		t.Errorf("decided by finance: %v, it is %s", err, w.state(t, k.No))
	}
}
