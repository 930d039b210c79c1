package regulator

import (
	"encoding/csv"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"context"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// opened has the regulator at h2, for h1.
func opened(t *testing.T) (*Service, *clinictest.Clinic) {
	t.Helper()
	c := clinictest.New(t)
	s := &Service{Clinic: c.Clinic, Hub: c.Outbox}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Serve(t.Context(), clinic.Person{Account: 1}, "h1", "h2"); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func written(no string) core.Message {
	at := time.Now()
	return core.Message{Kind: core.PrescriptionCreate, Body: &core.Prescription{No: no, VisitNo: "V1", PatientNo: "0000024772", PatientName: "测试患者甲", Sex: "female", BirthDate: "1980-01-01",
		DepartmentCode: "01", DoctorCode: "D1", DoctorName: "测试医生", PharmacistCode: "P1", Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
		Items:  []core.Item{{Code: "A1", Name: "阿莫西林", Qty: "1", Unit: "盒", UnitPrice: "10", Amount: 1000, Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 3}},
		Amount: 1000, WrittenAt: at, ValidUntil: at.Add(24 * time.Hour)}}
}

func handed(no string, state core.DispenseState) core.Message {
	return core.Message{Kind: core.DispenseReport, Body: &core.Dispense{No: no, VisitNo: "V1", PatientNo: "0000024772", State: state, At: time.Now()}}
}

func voided(no string) core.Message {
	return core.Message{Kind: core.PrescriptionVoid, Body: &core.PrescriptionVoiding{No: no, VisitNo: "V1", PatientNo: "0000024772", Reason: "作废", OperatorCode: "D1", VoidedAt: time.Now()}}
}

func enqueue(s *Service, hospital string, m core.Message) error {
	return pgx.BeginFunc(context.Background(), s.Database, func(tx pgx.Tx) error {
		_, err := s.Telling(tx).Enqueue(context.Background(), hospital, m)
		return err
	})
}

// told is who was told what, as "h2 prescription.create RX1".
func told(t *testing.T, c *clinictest.Clinic) (all []string) {
	t.Helper()
	for _, m := range c.Told(t) {
		all = append(all, m.Hospital+" "+string(m.Kind)+" "+m.Key())
	}
	return all
}

func take(t *testing.T, s *Service, e core.Event) {
	t.Helper()
	e.At = time.Now()
	if err := pgx.BeginFunc(t.Context(), s.Database, func(tx pgx.Tx) error { return s.Take(t.Context(), tx, e) }); err != nil {
		t.Fatal(err)
	}
}

func report(t *testing.T, s *Service) Report {
	t.Helper()
	r, err := s.Report(t.Context(), "h1", "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheRegulatorHearsInTheTransactionOfTheFact(t *testing.T) {
	s, c := opened(t)
	over := errors.New("the fact failed")
	err := pgx.BeginFunc(t.Context(), s.Database, func(tx pgx.Tx) error {
		if _, err := s.Telling(tx).Enqueue(t.Context(), "h1", written("RX0")); err != nil {
			t.Error(err)
		}
		return over
	})
	if !errors.Is(err, over) || len(told(t, c)) != 0 || len(report(t, s).Kinds) != 0 {
		t.Fatal("told of what never was", err, told(t, c))
	}
	c.Cannot[core.DispenseReport] = false
	for _, m := range []core.Message{written("RX1"), written("RX1"), handed("RX1", "picked_up"), voided("RX1")} {
		if err := enqueue(s, "h1", m); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"h1 prescription.create RX1", "h2 prescription.create RX1", "h1 prescription.dispense-status RX1/picked_up", "h2 prescription.dispense-status RX1/picked_up", "h1 prescription.void RX1", "h2 prescription.void RX1"}
	if got := told(t, c); !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

func TestWhatNoRegulatorWantsIsLeftAlone(t *testing.T) {
	s, c := opened(t)
	// Another hospital has none; and what follows a prescription of before goes nowhere.
	for hospital, m := range map[string]core.Message{"h2": written("RX1"), "h1": voided("RX2")} {
		if err := enqueue(s, hospital, m); err != nil {
			t.Fatal(err)
		}
	}
	if got := told(t, c); len(got) != 2 || len(report(t, s).Kinds) != 0 {
		t.Fatal(got)
	}
}

func TestLaterFactsGoWhereThePrescriptionWent(t *testing.T) {
	s, c := opened(t)
	if err := enqueue(s, "h1", written("RX1")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Serve(t.Context(), clinic.Person{}, "h1", ""); err != nil {
		t.Fatal(err)
	}
	for _, m := range []core.Message{voided("RX1"), written("RX2")} {
		if err := enqueue(s, "h1", m); err != nil {
			t.Fatal(err)
		}
	}
	if got := told(t, c); !slices.Contains(got, "h2 prescription.void RX1") || slices.Contains(got, "h2 prescription.create RX2") {
		t.Fatal(got)
	}
}

// A HIS that cannot be told is no reason for the regulator not to hear, and a regulator
// that cannot is none to undo the fact.
func TestWhoCannotBeTold(t *testing.T) {
	s, c := opened(t)
	if err := enqueue(s, "h1", written("RX1")); err != nil {
		t.Fatal(err)
	}
	s.Hub = func(tx pgx.Tx) core.Outbox { return only{c.Outbox(tx), "h2"} }
	err := pgx.BeginFunc(t.Context(), s.Database, func(tx pgx.Tx) error {
		if _, err := s.Telling(tx).Enqueue(t.Context(), "h1", handed("RX1", "picked_up")); !errors.Is(err, core.ErrCannot) {
			t.Error("the module must see that its HIS cannot:", err)
		}
		return nil
	})
	if err != nil || !slices.Contains(told(t, c), "h2 prescription.dispense-status RX1/picked_up") {
		t.Fatal(told(t, c), err)
	}
	s.Hub = func(tx pgx.Tx) core.Outbox { return only{c.Outbox(tx), "h1"} }
	if err := enqueue(s, "h1", voided("RX1")); err != nil {
		t.Fatal(err)
	}
	gaps := report(t, s).Gaps
	if i := slices.IndexFunc(gaps, func(g Gap) bool { return g.Kind == core.PrescriptionVoid }); i < 0 || gaps[i].State != Untold || !strings.Contains(gaps[i].Reason, "no such transaction") {
		t.Fatal(gaps)
	}
}

// only one hospital has any transaction.
type only struct {
	core.Outbox
	hospital string
}

func (o only) Enqueue(ctx context.Context, hospital string, m core.Message) (core.Accepted, error) {
	if hospital != o.hospital {
		return core.Accepted{}, core.ErrCannot
	}
	return o.Outbox.Enqueue(ctx, hospital, m)
}

func TestReceiptsAndGaps(t *testing.T) {
	s, _ := opened(t)
	for _, no := range []string{"RX1", "RX2", "RX3"} {
		if err := enqueue(s, "h1", written(no)); err != nil {
			t.Fatal(err)
		}
	}
	// The hospital's own receipt is none of the regulator's.
	take(t, s, core.Event{Type: core.EventDelivered, Hospital: "h1", Kind: core.PrescriptionCreate, Key: "RX1"})
	if r := report(t, s); len(r.Gaps) != 3 {
		t.Fatal(r)
	}
	taken := core.Event{Type: core.EventDelivered, Hospital: "h2", Kind: core.PrescriptionCreate, Key: "RX1", Receipt: &core.Receipt{HisNo: "A77"}}
	parked := core.Event{Type: core.EventParked, Hospital: "h2", Kind: core.PrescriptionCreate, Key: "RX2", Reason: "=the row was refused"}
	for _, e := range []core.Event{taken, parked, parked, taken, {Type: core.EventParked, Hospital: "h2", Kind: core.PrescriptionCreate, Key: "RX1", Reason: "late"}} {
		take(t, s, e)
	}
	r := report(t, s)
	if len(r.Kinds) != 1 || r.Kinds[0].Facts != 3 || r.Kinds[0].Taken != 1 || len(r.Gaps) != 2 || r.Gaps[0].State != Refused || r.Gaps[1].State != Waiting {
		t.Fatal(r)
	}
	text, err := r.CSV()
	if err != nil || strings.Contains(string(text), "测试患者") {
		t.Fatal(string(text), err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][3] != "RX2" || rows[1][8] != "'=the row was refused" {
		t.Fatal(rows, err)
	}
	// The hub sent it again, and it went.
	taken.Key = "RX2"
	take(t, s, taken)
	if r := report(t, s); len(r.Gaps) != 1 || r.Gaps[0].Key != "RX3" {
		t.Fatal(r)
	}
	var receipt string
	if err := s.Database.QueryRow(t.Context(), `select receipt from regulator.upload where key = 'RX1'`).Scan(&receipt); err != nil || receipt != "A77" {
		t.Fatal(receipt, err)
	}
	for _, day := range []string{"5.1.2026", "2026-13-01"} {
		var ps core.Problems
		if _, err := s.Report(t.Context(), "h1", day); !errors.As(err, &ps) {
			t.Error(day, err)
		}
	}
}

func TestTheRegulatorHearsWhatTheWindowHandedOut(t *testing.T) {
	s, c := opened(t)
	if err := enqueue(s, "h1", written("RX1")); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*core.DispenseNotice{{No: "RX1"}, {No: "RX1"}, {No: "RX1", Returned: true}, {No: "RX9"}} {
		c.Heard = func(context.Context, int64) (core.Body, error) { return n, nil }
		take(t, s, core.Event{Type: "inbound." + core.EventType(core.DrugsDispensed), Hospital: "h1", Inbound: 1})
	}
	want := []string{"h1 prescription.create RX1", "h2 prescription.create RX1", "h2 prescription.dispense-status RX1/picked_up", "h2 prescription.dispense-status RX1/returned"}
	if got := told(t, c); !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

func TestARegulatorMustBeOne(t *testing.T) {
	s, c := opened(t)
	for _, id := range []string{"h1", "nobody"} {
		if _, err := s.Serve(t.Context(), clinic.Person{}, "h1", id); err == nil {
			t.Error(id)
		}
	}
	c.Cannot[core.PrescriptionCreate] = true
	if _, err := s.Serve(t.Context(), clinic.Person{}, "h1", "h2"); err == nil {
		t.Error("its folder cannot take a prescription")
	}
}
