package fulfilment

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/identity"
	"hishub/platform/rx"
)

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", "25")
	os.Exit(servers.Main(m))
}

var (
	pharmacist = clinic.Person{Account: 21, Grants: []clinic.Grant{{Role: clinic.Pharmacist, Hospital: "h1", Code: "P1"}}}
	all        = Checks{Who: true, Drug: true, Dose: true, Validity: true}
	home       = Address{Name: "测试患者甲", Phone: "13800000000", Address: "测试路一号二室"}
)

// world is the module with prescriptions of which a test says how they stand.
type world struct {
	*Service
	c        *clinictest.Clinic
	licensed error
	mu       sync.Mutex
	rx       map[string]rx.Rx
	heard    *core.DispenseNotice
	next     int
}

func (w *world) get(no string) (rx.Rx, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.rx[no]
	if !ok {
		return p, clinic.ErrNotFound
	}
	return p, nil
}

func (w *world) set(no string, to rx.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.rx[no]
	p.State = to
	w.rx[no] = p
}

// prescriptions holds with a lock of the database, as the real ones do.
type prescriptions struct{ *world }

func (p prescriptions) Get(_ context.Context, _, no string) (rx.Rx, error) { return p.get(no) }
func (p prescriptions) Hold(ctx context.Context, tx pgx.Tx, _, no string) (rx.Rx, error) {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext($1))`, no); err != nil {
		return rx.Rx{}, err
	}
	return p.get(no)
}
func (p prescriptions) Hand(_ context.Context, _ pgx.Tx, _, no string, returned bool) error {
	to := rx.Dispensed
	if returned {
		to = rx.Returned
	}
	p.set(no, to)
	return nil
}

type licences struct{ *world }

func (w licences) Licensed(_ context.Context, _ int64, _ string, kind identity.LicenceKind, _ time.Time) error {
	if kind != identity.PharmacistLicence {
		return errors.New("another kind of licence was asked for")
	}
	return w.licensed
}

func opened(t *testing.T) *world {
	t.Helper()
	w := &world{c: clinictest.New(t), rx: map[string]rx.Rx{}}
	w.c.Heard = func(context.Context, int64) (core.Body, error) { return w.heard, nil }
	w.Service = &Service{Clinic: w.c.Clinic, Prescriptions: prescriptions{w}, Licences: licences{w}}
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

type fataler interface {
	Helper()
	Fatal(...any)
}

// paid is a prescription that was just paid.
func (w *world) paid(t fataler, valid time.Duration) string {
	t.Helper()
	w.next++
	no, until := fmt.Sprintf("RX%d", w.next), time.Now().Add(valid)
	w.rx[no] = rx.Rx{No: no, Hospital: "h1", State: rx.SentHIS, Patient: "PA", ValidUntil: &until, HisNo: "H" + no, Content: rx.Content{PatientNo: "0000024772", VisitNo: "V1"}}
	_, err := clinictest.Do(w.c, func(tx pgx.Tx, _ core.Outbox) (int, error) {
		return 0, w.Start(context.Background(), tx, "h1", no, "PA", 7, until)
	})
	if err != nil {
		t.Fatal(err)
	}
	return no
}

func (w *world) code(t *testing.T, no string) string {
	t.Helper()
	c, err := w.NewCode(t.Context(), 7, "h1", no)
	if err != nil {
		t.Fatal(err)
	}
	return c.Code
}

func (w *world) state(t fataler, no string) State {
	t.Helper()
	f, err := w.Get(context.Background(), "h1", no)
	if err != nil {
		t.Fatal(err)
	}
	return f.State
}

// reports are what the HIS was told of a prescription.
func (w *world) reports(t *testing.T, no string) (said []string) {
	t.Helper()
	for _, m := range w.c.Told(t) {
		if d, ok := m.Body.(*core.Dispense); ok && d.No == no {
			said = append(said, string(d.State))
		}
	}
	return said
}

func TestCodeIsUsedOnce(t *testing.T) {
	w := opened(t)
	no := w.paid(t, time.Hour)
	code := w.code(t, no)
	f, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, all)
	if err != nil || f.State != PickedUp || f.HasCode {
		t.Fatal(f, err)
	}
	if p, _ := w.get(no); p.State != rx.Dispensed {
		t.Fatal("the prescription is", p.State)
	}
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, all); !errors.Is(err, clinic.ErrState) {
		t.Fatal("handed out twice:", err)
	}
	if said := w.reports(t, no); !slices.Equal(said, []string{"picked_up"}) {
		t.Fatal(said)
	}
	if _, err := w.Return(t.Context(), pharmacist, "h1", no, "包装破损"); err != nil {
		t.Fatal(err)
	}
	if said := w.reports(t, no); !slices.Equal(said, []string{"picked_up", "returned"}) {
		t.Fatal(said)
	}
}

func TestTwoPharmacistsAtOnceHandOutOnce(t *testing.T) {
	w := opened(t)
	no := w.paid(t, time.Hour)
	code := w.code(t, no)
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		group.Go(func() { _, errs[i] = w.HandOut(t.Context(), pharmacist, "h1", no, code, all) })
	}
	group.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !errors.Is(err, clinic.ErrState) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Fatal("handed out", done, "times")
	}
}

func TestWrongCodesKillACode(t *testing.T) {
	w := opened(t)
	no, other := w.paid(t, time.Hour), w.paid(t, time.Hour)
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, "00000000", all); !errors.Is(err, ErrCode) {
		t.Fatal("without any code:", err)
	}
	code, its := w.code(t, no), w.code(t, other)
	for range maxTries {
		if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, its, all); !errors.Is(err, ErrCode) {
			t.Fatal("another one's code:", err)
		}
	}
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, all); !errors.Is(err, ErrCode) || !strings.Contains(err.Error(), "too many") {
		t.Fatal("the right one after too many wrong ones:", err)
	}
	if f, _ := w.Get(t.Context(), "h1", no); f.HasCode || f.State != Ready {
		t.Fatal(f)
	}
	fresh := w.code(t, no)
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, fresh, all); err != nil {
		t.Fatal(err)
	}
	var kept string
	if err := w.Database.QueryRow(t.Context(), `select string_agg(f::text, '') from fulfilment.fulfilment f`).Scan(&kept); err != nil || strings.Contains(kept, its) {
		t.Fatal("the code itself is kept", err)
	}
}

func TestExpiredLicenceBlocksHandingOut(t *testing.T) {
	w := opened(t)
	no, sent := w.paid(t, time.Hour), w.paid(t, time.Hour)
	code := w.code(t, no)
	if _, err := w.Deliver(t.Context(), 7, "h1", sent, home); err != nil {
		t.Fatal(err)
	}
	w.licensed = fmt.Errorf("%w: the licence has expired", clinic.ErrRule)
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, all); !errors.Is(err, clinic.ErrRule) {
		t.Fatal(err)
	}
	if _, err := w.Ship(t.Context(), pharmacist, "h1", sent, "测试快递", "T1", all); !errors.Is(err, clinic.ErrRule) {
		t.Fatal(err)
	}
	if w.state(t, no) != Ready || w.state(t, sent) != Preparing || len(w.c.Told(t)) != 0 {
		t.Fatal("something was handed out")
	}
}

func TestFourChecks(t *testing.T) {
	w := opened(t)
	no := w.paid(t, time.Hour)
	code := w.code(t, no)
	for name, c := range map[string]Checks{"who": {false, true, true, true}, "drug": {true, false, true, true}, "dose": {true, true, false, true}, "validity": {true, true, true, false}} {
		if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, c); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if w.state(t, no) != Ready {
		t.Fatal("it was handed out")
	}
}

func TestNothingIsHandedOutAfterValidity(t *testing.T) {
	w := opened(t)
	no := w.paid(t, time.Hour)
	code := w.code(t, no)
	past := time.Now().Add(-time.Second)
	p := w.rx[no]
	p.ValidUntil = &past
	w.rx[no] = p
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, all); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "validity") {
		t.Fatal(err)
	}
	late := w.paid(t, -time.Second)
	if w.state(t, late) != Lapsed {
		t.Fatal("before the job it is", w.state(t, late))
	}
	if _, err := w.NewCode(t.Context(), 7, "h1", late); !errors.Is(err, clinic.ErrState) {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.lapse(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var steps int
	if err := w.Database.QueryRow(t.Context(), `select count(*) from fulfilment.step where no = $1`, late).Scan(&steps); err != nil || steps != 1 {
		t.Fatal(steps, err)
	}
}

func TestWhatTheHISHandedOutIsNotHandedOutHere(t *testing.T) {
	w := opened(t)
	no := w.paid(t, time.Hour)
	code := w.code(t, no)
	// rx heard of it first, this module has not yet.
	w.set(no, rx.Dispensed)
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, code, all); !errors.Is(err, clinic.ErrState) {
		t.Fatal(err)
	}
	w.heard = &core.DispenseNotice{No: no}
	event := core.Event{Type: "inbound." + core.EventType(core.DrugsDispensed), Hospital: "h1", Inbound: 1}
	for range 2 {
		if err := pgx.BeginFunc(t.Context(), w.Database, func(tx pgx.Tx) error { return w.Take(t.Context(), tx, event) }); err != nil {
			t.Fatal(err)
		}
	}
	if w.state(t, no) != AtWindow {
		t.Fatal(w.state(t, no))
	}
	// And the other way round: what was handed out here stays as it is.
	mine := w.paid(t, time.Hour)
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", mine, w.code(t, mine), all); err != nil {
		t.Fatal(err)
	}
	w.heard = &core.DispenseNotice{No: mine}
	if err := pgx.BeginFunc(t.Context(), w.Database, func(tx pgx.Tx) error { return w.Take(t.Context(), tx, event) }); err != nil || w.state(t, mine) != PickedUp {
		t.Fatal(w.state(t, mine), err)
	}
}

type carrier struct{ asked []Address }

func (*carrier) Name() string { return "测试快递" }
func (c *carrier) Collect(_ context.Context, _, no string, to Address) (string, error) {
	c.asked = append(c.asked, to)
	return "T" + no, nil
}

func TestDelivery(t *testing.T) {
	w := opened(t)
	c := &carrier{}
	w.Carriers = []Carrier{c}
	ctx := t.Context()
	no := w.paid(t, time.Hour)
	if _, err := w.Deliver(ctx, 8, "h1", no, home); !errors.Is(err, clinic.ErrNotFound) {
		t.Fatal("another account:", err)
	}
	if _, err := w.Deliver(ctx, 7, "h1", no, home); err != nil {
		t.Fatal(err)
	}
	if _, err := w.HandOut(ctx, pharmacist, "h1", no, "00000000", all); !errors.Is(err, clinic.ErrState) {
		t.Fatal("a delivery was handed out at the window:", err)
	}
	f, err := w.Ship(ctx, pharmacist, "h1", no, "测试快递", "", all)
	if err != nil || f.State != Shipped || f.Tracking != "T"+no || !slices.Equal(c.asked, []Address{home}) {
		t.Fatal(f, err)
	}
	if _, err := w.PickUp(ctx, 7, "h1", no); !errors.Is(err, clinic.ErrState) {
		t.Fatal("taken back from the carrier:", err)
	}
	for _, news := range []State{Arrived, Arrived, Signed, Arrived, Signed} { // repeats and late ones
		if err := w.News(ctx, "测试快递", "T"+no, news); err != nil {
			t.Fatal(news, err)
		}
	}
	if _, err := w.Receive(ctx, 8, "h1", no); !errors.Is(err, clinic.ErrNotFound) {
		t.Fatal(err)
	}
	if w.state(t, no) != Signed || !slices.Equal(w.reports(t, no), []string{"shipped", "delivered"}) {
		t.Fatal(w.state(t, no), w.reports(t, no))
	}
}

func TestAHospitalWithoutTheTransactionHandsOutAllTheSame(t *testing.T) {
	w := opened(t)
	w.c.Cannot[core.DispenseReport] = true
	no := w.paid(t, time.Hour)
	if _, err := w.HandOut(t.Context(), pharmacist, "h1", no, w.code(t, no), all); err != nil {
		t.Fatal(err)
	}
}

func TestRandomCommands(t *testing.T) {
	w := opened(t)
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		no, code := w.paid(t, time.Hour), ""
		handed := 0
		do := func(f func() error) {
			before := w.state(t, no)
			err := f()
			after := w.state(t, no)
			switch {
			case err != nil && after != before:
				t.Fatalf("%v, and yet %s became %s", err, before, after)
			case after != before && !slices.Contains(States[before], after):
				t.Fatalf("%s became %s", before, after)
			}
			if after != before && (after == PickedUp || after == Shipped) {
				handed++
			}
			if handed > 1 {
				t.Fatal("handed out twice")
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"code": func(*rapid.T) {
				do(func() error {
					c, err := w.NewCode(ctx, 7, "h1", no)
					if err == nil {
						code = c.Code
					}
					return err
				})
			},
			"hand out": func(t *rapid.T) {
				said := rapid.SampledFrom([]string{code, "1"}).Draw(t, "code")
				do(func() error { _, err := w.HandOut(ctx, pharmacist, "h1", no, said, all); return err })
			},
			"deliver": func(*rapid.T) { do(func() error { _, err := w.Deliver(ctx, 7, "h1", no, home); return err }) },
			"pick up": func(*rapid.T) { do(func() error { _, err := w.PickUp(ctx, 7, "h1", no); return err }) },
			"ship": func(*rapid.T) {
				do(func() error { _, err := w.Ship(ctx, pharmacist, "h1", no, "c", no, all); return err })
			},
			"receive": func(*rapid.T) { do(func() error { _, err := w.Receive(ctx, 7, "h1", no); return err }) },
			"return":  func(*rapid.T) { do(func() error { _, err := w.Return(ctx, pharmacist, "h1", no, "r"); return err }) },
			"arrive": func(*rapid.T) {
				do(func() error { _, err := w.Arrive(ctx, pharmacist, "h1", no, Arrived); return err })
			},
			"stop": func(*rapid.T) {
				do(func() error {
					return pgx.BeginFunc(ctx, w.Database, func(tx pgx.Tx) error { return w.Stop(ctx, tx, "h1", no) })
				})
			},
			"window": func(t *rapid.T) {
				w.heard = &core.DispenseNotice{No: no, Returned: rapid.Bool().Draw(t, "returned")}
				do(func() error {
					return pgx.BeginFunc(ctx, w.Database, func(tx pgx.Tx) error {
						return w.Take(ctx, tx, core.Event{Type: "inbound." + core.EventType(core.DrugsDispensed), Hospital: "h1", Inbound: 1})
					})
				})
			},
		})
	})
}
