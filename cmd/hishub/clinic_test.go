package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
	"hishub/core/inbound"
	"hishub/core/postgres"
	"hishub/core/reconcile"
	"hishub/mocks/servers"
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

// written is a prescription of 21.50 yuan a line.
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

func (p *practice) count(sql string) (n int) {
	p.Helper()
	ok(p, p.database.QueryRow(p.ctx, sql).Scan(&n))
	return n
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
