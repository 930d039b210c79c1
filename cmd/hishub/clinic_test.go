package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/payment"
	"hishub/platform/prescription"
)

// practice is the clinic as openClinic wires it, on the real ledger, with the
// test in the place of the dispatcher.
type practice struct {
	testing.TB
	*clinicModules
	ctx   context.Context
	store *postgres.Store
	woken func() int
}

func newPractice(tb testing.TB) *practice {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	tb.Cleanup(cancel)
	url := servers.Postgres(tb)
	ok(tb, postgres.Migrate(ctx, url))
	store, err := postgres.Open(ctx, postgres.Options{URL: url, KeyFile: filepath.Join(tb.TempDir(), "key"), CreateKey: true})
	ok(tb, err)
	tb.Cleanup(store.Close)
	_, err = store.Apply(ctx, "h1", "Hospital 1", []byte("archive"), "digest", "tester", "")
	ok(tb, err)
	_, err = store.Own(ctx, "p", time.Hour)
	ok(tb, err)
	w := &countedWakes{}
	h := &hub{store: store, wakes: w, dispatcher: &delivery.Dispatcher{Process: "p"}, repairs: &reconcile.Repairs{}, desk: &inbound.Desk{Deciders: map[core.Kind]inbound.Decider{}}, log: slog.New(slog.NewTextHandler(tb.Output(), nil))}
	ok(tb, h.openClinic(ctx, url))
	h.clinic.payments.Channel = payment.StandIn{} // h1 has no folder
	tb.Cleanup(h.clinic.close)
	return &practice{TB: tb, clinicModules: h.clinic, ctx: ctx, store: store, woken: w.count}
}

type countedWakes struct {
	mu sync.Mutex
	n  int
}

func (w *countedWakes) Wake(string) { w.mu.Lock(); w.n++; w.mu.Unlock() }
func (w *countedWakes) count() int  { w.mu.Lock(); defer w.mu.Unlock(); return w.n }
func (w *countedWakes) Listen(context.Context, []int, func(string)) error {
	return nil
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// forbidden expects that kind of error, and that it tells nothing of the patient.
func forbidden(tb testing.TB, err, kind error) {
	tb.Helper()
	if !errors.Is(err, kind) {
		tb.Errorf("got %v, want %v", err, kind)
	}
	if err != nil && strings.Contains(err.Error(), "张三") {
		tb.Errorf("the error names the patient: %v", err)
	}
}

// problems expects Problems about that field.
func problems(tb testing.TB, err error, field string) {
	tb.Helper()
	var ps core.Problems
	if !errors.As(err, &ps) || !slices.ContainsFunc(ps, func(p core.Problem) bool { return p.Field == field }) {
		tb.Errorf("got %v, want a problem with %s", err, field)
	}
}

// written is a prescription of 21.50 yuan a line, which nobody signed yet.
func written(no, visit string, lines int) core.Prescription {
	now := time.Now().Truncate(time.Second)
	p := core.Prescription{
		No: no, VisitNo: visit, PatientNo: "0000024772", PatientName: "张三测试", Sex: "female", BirthDate: "1990-01-01", IDNo: "999999199001010016",
		DepartmentCode: "D01", DoctorCode: "0007", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
		WrittenAt: now, ValidUntil: now.Add(24 * time.Hour),
	}
	for i := range lines {
		p.Items = append(p.Items, core.Item{
			Code: fmt.Sprintf("YP%04d", i), Name: "阿莫西林胶囊", Qty: "1", Unit: "盒", UnitPrice: "21.5000", Amount: 2150,
			Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3,
		})
		p.Amount += 2150
	}
	return p
}

// approved signs prescriptions of one line and has them reviewed.
func (p *practice) approved(visit string, nos ...string) {
	p.Helper()
	for _, no := range nos {
		_, err := p.prescriptions.Sign(p.ctx, "h1", written(no, visit, 1))
		ok(p, err)
		_, err = p.prescriptions.Review(p.ctx, "h1", no, prescription.Verdict{Pharmacist: "P001", Approve: true})
		ok(p, err)
	}
}

// paid is the channel's word that these prescriptions of one line were paid.
func paid(order string, nos ...string) payment.Paid {
	return payment.Paid{OrderID: order, Prescriptions: nos, Amount: core.Fen(2150 * len(nos)), Channel: "wechat", ChannelNo: "wx" + order,
		PaidAt: time.Now().Truncate(time.Second)}
}

func given(no string, amount core.Fen) payment.Given {
	return payment.Given{RefundNo: no, ChannelRefundNo: "wx" + no, Amount: amount, Reason: "测试", RefundedAt: time.Now().Truncate(time.Second)}
}

// told is every message in the order of its lane's places, as "kind key lane".
func (p *practice) told() []string {
	p.Helper()
	rows, err := p.database.Query(p.ctx, `select kind || ' ' || key || ' ' || lane from hub.message order by place`)
	ok(p, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	ok(p, err)
	return all
}

func (p *practice) count(sql string) (n int) {
	p.Helper()
	ok(p, p.database.QueryRow(p.ctx, sql).Scan(&n))
	return n
}

func (p *practice) toldIs(want ...string) {
	p.Helper()
	if got := p.told(); !slices.Equal(got, want) {
		p.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (p *practice) rxIs(no string, want prescription.State) prescription.Rx {
	p.Helper()
	rx, err := p.prescriptions.Get(p.ctx, "h1", no)
	ok(p, err)
	if rx.State != want {
		p.Errorf("prescription %s is %s, want %s", no, rx.State, want)
	}
	return rx
}

func (p *practice) orderIs(id string, want payment.State) payment.Charge {
	p.Helper()
	o, err := p.payments.Get(p.ctx, "h1", id)
	ok(p, err)
	if o.State != want {
		p.Errorf("order %s is %s, want %s", id, o.State, want)
	}
	return o
}

func (p *practice) refundIs(no string, want payment.State) {
	p.Helper()
	var state payment.State
	ok(p, p.database.QueryRow(p.ctx, `select state from payment.refund where refund_no = $1`, no).Scan(&state))
	if state != want {
		p.Errorf("refund %s is %s, want %s", no, state, want)
	}
}

// ends plays the dispatcher for the next message, which must be of that kind,
// and lets both inboxes take the event.
func (p *practice) ends(kind core.Kind, n delivery.Next) {
	p.Helper()
	ds, err := p.store.Claim(p.ctx, "p", "h1", 1, time.Minute, time.Minute)
	ok(p, err)
	if len(ds) != 1 || ds[0].Kind != kind {
		p.Fatalf("claimed %d messages, want one %s", len(ds), kind)
	}
	d := &ds[0]
	ok(p, p.store.Sent(p.ctx, d, 1))
	n.Phase = delivery.Send
	_, err = p.store.Settle(p.ctx, d, nil, n)
	ok(p, err)
	p.read()
}

// read lets the inboxes take what is there; the feed shows an event once every
// transaction that was at work with it is over.
func (p *practice) read() {
	p.Helper()
	for _, in := range p.inboxes {
		_, err := in.Step(p.ctx)
		ok(p, err)
	}
}

func delivered(hisNo string) delivery.Next {
	return delivery.Next{State: delivery.Delivered, Progress: delivery.Progress{Receipt: &core.Receipt{HisNo: hisNo}}}
}

func parked(because string) delivery.Next {
	return delivery.Next{State: delivery.Parked, Class: core.Rejected, Because: because}
}

func TestClinicMigratesTwice(t *testing.T) {
	p := newPractice(t)
	ok(t, p.prescriptions.Migrate(p.ctx))
	ok(t, p.payments.Migrate(p.ctx))
}

// What is paid is told, the prescription before its payment, in one lane; and
// what was not saved is not told.
func TestPayIsOneTransaction(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX2", "RX1")

	wrong := paid("IH1", "RX2", "RX1")
	wrong.Amount++
	_, err := p.payments.Pay(p.ctx, "h1", wrong)
	problems(t, err, "amount")
	late := paid("IH1", "RX2", "RX1")
	late.ChannelNo = strings.Repeat("x", 65) // found when all else was written
	_, err = p.payments.Pay(p.ctx, "h1", late)
	problems(t, err, "channel_no")
	// The last thing that happens fails: the order number was used by somebody else.
	_, err = p.store.Enqueue(p.ctx, "h1", core.Message{Kind: core.PaymentSettle, Body: &core.Payment{
		OrderID: "IH1", VisitNo: "V9", PatientNo: "9", Bills: []string{"B9"}, Amount: 1, Channel: "cash", ChannelNo: "c9", PaidAt: time.Now()}})
	ok(t, err)
	before := p.woken()
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH1", "RX2", "RX1"))
	var conflict *core.Conflict
	if !errors.As(err, &conflict) {
		t.Errorf("an order number with other content: %v", err)
	}
	if p.woken() != before {
		t.Error("woken for nothing")
	}
	if n := p.count(`select count(*) from payment.payment`); n != 0 {
		t.Errorf("%d payments were saved", n)
	}
	p.toldIs("payment.settle IH1 V9")
	p.rxIs("RX1", prescription.Approved)
	p.rxIs("RX2", prescription.Approved)

	o, err := p.payments.Pay(p.ctx, "h1", paid("IH2", "RX2", "RX1"))
	ok(t, err)
	if o.State != payment.Telling || o.Amount != 4300 || p.woken() != before+1 {
		t.Errorf("paid: %+v, woken %d times", o, p.woken()-before)
	}
	p.toldIs("payment.settle IH1 V9", "prescription.create RX1 V1", "prescription.create RX2 V1", "payment.settle IH2 V1")
	p.rxIs("RX1", prescription.Paid)

	_, err = p.prescriptions.Get(p.ctx, "h1", "RX9")
	forbidden(t, err, clinic.ErrNotFound)
	_, err = p.payments.Get(p.ctx, "h2", "IH2")
	forbidden(t, err, clinic.ErrNotFound)
}

// An unknown hospital is found at the last step and leaves nothing behind.
func TestPayAtNoHospital(t *testing.T) {
	p := newPractice(t)
	_, err := p.prescriptions.Sign(p.ctx, "h9", written("RX1", "V1", 1))
	ok(t, err)
	_, err = p.prescriptions.Review(p.ctx, "h9", "RX1", prescription.Verdict{Pharmacist: "P001", Approve: true})
	ok(t, err)
	_, err = p.payments.Pay(p.ctx, "h9", paid("IH1", "RX1"))
	if !errors.Is(err, core.ErrUnknownHospital) {
		t.Errorf("paid at no hospital: %v", err)
	}
	if n := p.count(`select (select count(*) from payment.payment) + (select count(*) from hub.message)`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestTheChannelSaysItAgain(t *testing.T) {
	p := newPractice(t)
	p.approved("V1", "RX1", "RX2", "RX3")
	word := paid("IH1", "RX1")
	for range 2 {
		_, err := p.payments.Pay(p.ctx, "h1", word)
		ok(t, err)
	}
	p.toldIs("prescription.create RX1 V1", "payment.settle IH1 V1")

	for name, change := range map[string]func(*payment.Paid){
		"amount":        func(w *payment.Paid) { w.Amount++ },
		"channel":       func(w *payment.Paid) { w.Channel = "alipay" },
		"channel no":    func(w *payment.Paid) { w.ChannelNo = "wx2" },
		"prescriptions": func(w *payment.Paid) { w.Prescriptions = []string{"RX2"} },
	} {
		other := word
		change(&other)
		if _, err := p.payments.Pay(p.ctx, "h1", other); !errors.Is(err, clinic.ErrRule) {
			t.Errorf("the same order with another %s: %v", name, err)
		}
	}
	again := paid("IH2", "RX2")
	again.ChannelNo = word.ChannelNo
	_, err := p.payments.Pay(p.ctx, "h1", again)
	forbidden(t, err, clinic.ErrRule)
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH3", "RX1")) // paid by IH1
	forbidden(t, err, clinic.ErrState)
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH3", "RX2", "RX2"))
	problems(t, err, "prescriptions[1]")
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH3"))
	problems(t, err, "prescriptions")
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH3", "RX9"))
	forbidden(t, err, clinic.ErrNotFound)
	p.approved("V2", "RX4")
	_, err = p.payments.Pay(p.ctx, "h1", paid("IH3", "RX3", "RX4"))
	forbidden(t, err, clinic.ErrRule)
	p.toldIs("prescription.create RX1 V1", "payment.settle IH1 V1")
}

// Channels also say it twice at the same moment.
func TestTheChannelSaysItAgainAtOnce(t *testing.T) {
	p := newPractice(t)
	for round := range 20 {
		no, order := fmt.Sprint("RX", round), fmt.Sprint("IH", round)
		p.approved(fmt.Sprint("V", round), no)
		word := paid(order, no)
		ok(t, atOnce(func() error { _, err := p.payments.Pay(p.ctx, "h1", word); return err },
			func() error { _, err := p.payments.Pay(p.ctx, "h1", word); return err },
			func() error { _, err := p.payments.Pay(p.ctx, "h1", word); return err })[0])
		if n := len(p.told()); n != 2*(round+1) {
			t.Fatalf("%d messages after %d payments", n, round+1)
		}
	}
}

// atOnce does things at one moment and returns their errors: first all of them
// joined, then each.
func atOnce(things ...func() error) []error {
	errs := make([]error, 1+len(things))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, do := range things {
		all.Go(func() { <-start; errs[1+i] = do() })
	}
	close(start)
	all.Wait()
	errs[0] = errors.Join(errs[1:]...)
	return errs
}

// Orders that want the same prescriptions in opposite order, voidings and
// refunds of the same lane at once: one wins each, nobody waits in a circle.
func TestAtOnceInOneLane(t *testing.T) {
	p := newPractice(t)
	for round := range 15 {
		visit, first, second := fmt.Sprint("V", round), fmt.Sprintf("IH%dx", round), fmt.Sprintf("IH%dy", round)
		var nos []string
		for i := range 6 {
			nos = append(nos, fmt.Sprintf("RX%d-%d", round, i))
		}
		p.approved(visit, nos...)
		reverse := slices.Clone(nos)
		slices.Reverse(reverse)
		errs := atOnce(
			func() error { _, err := p.payments.Pay(p.ctx, "h1", paid(first, nos...)); return err },
			func() error { _, err := p.payments.Pay(p.ctx, "h1", paid(second, reverse...)); return err },
			func() error {
				_, err := p.payments.Refund(p.ctx, "h1", first, given(fmt.Sprint("RF", round), 100))
				return err
			},
			func() error { _, err := p.prescriptions.Void(p.ctx, "h1", nos[5], "0007", "测试"); return err },
		)[1:]
		for i, err := range errs {
			if err != nil && !errors.Is(err, clinic.ErrState) && !errors.Is(err, clinic.ErrNotFound) {
				t.Fatalf("round %d, %d: %v", round, i, err)
			}
		}
		if errs[0] == nil && errs[1] == nil {
			t.Fatalf("round %d: both orders paid the same prescriptions", round)
		}
	}
	// Each is told of as often as it was paid or voided after that.
	if n := p.count(`select count(*) from prescription.prescription r where state = 'paid' and not exists
		(select from hub.message m where m.key = r.no and m.kind = 'prescription.create')`); n != 0 {
		t.Errorf("%d paid prescriptions were not told of", n)
	}
	if n := p.count(`select count(*) from payment.payment o where not exists (select from hub.message m where m.key = o.order_id and m.kind = 'payment.settle')`); n != 0 {
		t.Errorf("%d payments were not told of", n)
	}
}
