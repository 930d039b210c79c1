package patient

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/identity"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// police believes everybody but who is called 假名.
type police struct{ err error }

func (p police) Verify(_ context.Context, _ int64, _, name, _ string) error {
	if name == "假名" {
		return identity.ErrMismatch
	}
	return p.err
}

func opened(t *testing.T) (*Service, *clinictest.Clinic) {
	t.Helper()
	c := clinictest.New(t)
	s := &Service{Clinic: c.Clinic, RealName: police{}}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, c
}

var (
	zhang = Details{Name: "测试张三", IDType: "id_card", IDNo: "11010519491231002x", Phone: "13800138000"}
	baby  = Details{Name: "测试小张", IDType: "birth_certificate", Phone: "13800138000", Sex: "male", BirthDate: time.Now().AddDate(-5, 0, 0).Format(time.DateOnly)}
)

func added(t *testing.T, s *Service, account int64, relation Relation, d Details) Record {
	t.Helper()
	r, err := s.Add(t.Context(), account, "192.0.2.1", relation, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAFamily(t *testing.T) {
	s, _ := opened(t)
	ctx := t.Context()
	if _, err := s.Add(ctx, 1, "192.0.2.1", Child, baby); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "guardian") {
		t.Errorf("rule guardian: a child alone: %v", err)
	}
	self := added(t, s, 1, Self, zhang)
	if self.BirthDate != "1949-12-31" || self.Sex != "female" || self.IDNo != "11010519491231002X" || !self.Verified {
		t.Errorf("what the card says: %+v", self)
	}
	child := added(t, s, 1, Child, baby)
	if child.Guardian == nil || child.Guardian.IDNo != self.IDNo || !child.Verified {
		t.Errorf("%+v", child)
	}
	for name, wrong := range map[string]struct {
		account  int64
		relation Relation
		d        Details
	}{
		"the same person again": {1, Other, zhang},
		"a second self":         {1, Self, Details{Name: "测试李四", IDType: "passport", IDNo: "E1", Sex: "male", BirthDate: "1980-01-01", Phone: "1"}},
		"the same child again":  {1, Child, baby},
	} {
		if _, err := s.Add(ctx, wrong.account, "192.0.2.1", wrong.relation, wrong.d); !errors.Is(err, clinic.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	added(t, s, 2, Parent, zhang) // another family may have the same person
	read, err := s.Owned(ctx, 1, child.No)
	if err != nil || read.Name != baby.Name || read.Guardian == nil || !read.Verified || read.Age(time.Now()) != 5 {
		t.Errorf("%+v, %v", read, err)
	}
	if _, err := s.Owned(ctx, 2, child.No); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another account's child: %v", err)
	}
	if err := s.Remove(ctx, 1, self.No); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("the guardian goes before the child: %v", err)
	}
	for _, no := range []string{child.No, self.No} {
		if err := s.Remove(ctx, 1, no); err != nil {
			t.Fatal(err)
		}
	}
	if family, err := s.Family(ctx, 1); err != nil || len(family) != 0 {
		t.Errorf("%d left, %v", len(family), err)
	}
	if _, err := s.Get(ctx, child.No); err != nil {
		t.Errorf("what was done for the child names nobody now: %v", err)
	}
}

func TestRuleRealName(t *testing.T) {
	s, _ := opened(t)
	ctx := t.Context()
	false1 := zhang
	false1.Name = "假名"
	if _, err := s.Add(ctx, 1, "192.0.2.1", Self, false1); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "real name") || strings.Contains(err.Error(), "假名") {
		t.Errorf("%v", err)
	}
	foreign := added(t, s, 1, Self, Details{Name: "测试李四", IDType: "passport", IDNo: "E1234567", Sex: "male", BirthDate: "1980-01-01", Phone: "13900139000"})
	if _, err := s.Bookable(ctx, 1, foreign.No); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("books without a verified name: %v", err)
	}
	s.RealName = police{errors.New("the service is away")}
	if _, err := s.Add(ctx, 2, "192.0.2.1", Self, zhang); err == nil || errors.Is(err, clinic.ErrRule) {
		t.Errorf("nobody could verify: %v", err)
	}
}

func TestWrongDetails(t *testing.T) {
	s, _ := opened(t)
	for field, d := range map[string]Details{
		"name":       {IDType: "id_card", IDNo: zhang.IDNo, Phone: "1"},
		"phone":      {Name: "测", IDType: "id_card", IDNo: zhang.IDNo},
		"id_no":      {Name: "测", IDType: "id_card", IDNo: "110105194912310021", Phone: "1"},
		"birth_date": {Name: "测", IDType: "id_card", IDNo: zhang.IDNo, Phone: "1", BirthDate: "1949-12-30"},
		"sex":        {Name: "测", IDType: "id_card", IDNo: zhang.IDNo, Phone: "1", Sex: "male"},
	} {
		var ps core.Problems
		if _, err := s.Add(t.Context(), 1, "192.0.2.1", Self, d); !errors.As(err, &ps) || len(ps) != 1 || ps[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for name, born := range map[string]string{"no date": "yesterday", "the future": "2999-01-01", "none": ""} {
		var ps core.Problems
		d := Details{Name: "测", IDType: "passport", IDNo: "E1", Sex: "male", Phone: "1", BirthDate: born}
		if _, err := s.Add(t.Context(), 1, "192.0.2.1", Self, d); !errors.As(err, &ps) || ps[0].Field != "birth_date" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAgeByTheCalendar(t *testing.T) {
	r := Record{Details: Details{BirthDate: "2012-03-01"}}
	for day, want := range map[string]int{"2026-02-28": 13, "2026-03-01": 14, "2026-12-31": 14, "2011-01-01": 0} {
		at, _ := time.Parse(time.DateOnly, day)
		if got := r.Age(at); got != want {
			t.Errorf("on %s: %d, want %d", day, got, want)
		}
	}
}

func TestChangeIsNoBlindWrite(t *testing.T) {
	s, _ := opened(t)
	ctx := t.Context()
	self := added(t, s, 1, Self, zhang)
	if r, err := s.Change(ctx, 1, self.No, "192.0.2.1", Contact{Phone: "13900139000", Version: 1}); err != nil || r.Phone != "13900139000" || r.Version != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := s.Change(ctx, 1, self.No, "192.0.2.1", Contact{Phone: "1", Version: 1}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("overwritten: %v", err)
	}
	if _, err := s.Change(ctx, 2, self.No, "192.0.2.1", Contact{Phone: "1", Version: 2}); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("another account's: %v", err)
	}
}

// A child without a document gets its first identity card and stays the same patient; it
// must be the child's own, and nobody else's is taken by it.
func TestAChildGetsItsCard(t *testing.T) {
	s, _ := opened(t)
	ctx := t.Context()
	made := guardians{}
	s.Guardians = made
	added(t, s, 1, Self, zhang)
	if len(made) != 0 {
		t.Error("nobody's guardian was made one")
	}
	born, _ := time.Parse(time.DateOnly, baby.BirthDate)
	card := func(day time.Time, order string) string { // with its check character
		digits := "110105" + day.Format("20060102") + order
		sum := 0
		for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
			sum += int(digits[i]-'0') * w
		}
		return digits + string("10X98765432"[sum%11])
	}
	young := baby
	young.IDType, young.IDNo = "other", ""
	child := added(t, s, 1, Child, young)
	if made[1] != 1 {
		t.Errorf("guardians: %v", made)
	}
	change := func(id string, version int) (Record, error) {
		return s.Change(ctx, 1, child.No, "192.0.2.1", Contact{Phone: child.Phone, IDCard: id, Version: version})
	}
	var ps core.Problems
	for what, wrong := range map[string]string{"another birthday": card(born.AddDate(0, 0, -1), "001"), "a girl's": card(born, "002"), "none": "11010519491231002"} {
		if _, err := change(wrong, 1); !errors.As(err, &ps) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := change(card(born, "001"), 2); !errors.Is(err, clinic.ErrState) {
		t.Errorf("another version: %v", err)
	}
	r, err := change(card(born, "001"), 1)
	if err != nil || r.No != child.No || r.IDType != "id_card" || r.IDNo != card(born, "001") || !r.Verified || r.Guardian == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = s.Bookable(ctx, 1, child.No); err != nil || r.IDNo == "" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := change(card(born, "003"), 2); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("a second card: %v", err)
	}
	again := young
	again.IDType, again.IDNo = "id_card", card(born, "001")
	if _, err := s.Add(ctx, 1, "192.0.2.1", Child, again); !errors.Is(err, clinic.ErrState) {
		t.Errorf("entered a second time: %v", err)
	}
	twin := young
	twin.Name = "测试小小张"
	other := added(t, s, 1, Child, twin)
	if _, err := s.Change(ctx, 1, other.No, "192.0.2.1", Contact{Phone: "1", IDCard: card(born, "001"), Version: 1}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("its twin's card: %v", err)
	}
	s.RealName = police{identity.ErrMismatch}
	if _, err := s.Change(ctx, 1, other.No, "192.0.2.1", Contact{Phone: "1", IDCard: card(born, "005"), Version: 1}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("another's card: %v", err)
	}
}

// guardians counts who was made one.
type guardians map[int64]int

func (g guardians) MakeGuardian(_ context.Context, _ pgx.Tx, account int64) error {
	g[account]++
	return nil
}

// What the HIS has of a person is believed when it is of this person; of several the one
// that was used last.
func TestLinkFindsOrRegisters(t *testing.T) {
	s, c := opened(t)
	ctx := t.Context()
	self := added(t, s, 1, Self, zhang)
	var has []core.PatientRecord
	c.Answer = func(_ string, _ core.Kind, body core.Body) (any, error) {
		if q := body.(*core.PatientQuery); q.IDNo != self.IDNo {
			t.Errorf("asked for another document")
		}
		return &core.Patients{Patients: has}, nil
	}
	if _, err := s.Identity(ctx, "h1", self.No); !errors.Is(err, ErrNoIdentity) {
		t.Errorf("before: %v", err)
	}
	has = []core.PatientRecord{{PatientNo: "0009", Name: "测试王五"}}
	if _, err := s.Link(ctx, "h1", self); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("another's record: %v", err)
	}
	old := time.Now().AddDate(-1, 0, 0)
	has = []core.PatientRecord{{PatientNo: "0001", Name: self.Name, UsedAt: old}, {PatientNo: "0009", Name: "测试王五", UsedAt: time.Now()}, {PatientNo: "0002", UsedAt: old.AddDate(0, 1, 0), CardNo: "C2"}}
	if i, err := s.Link(ctx, "h1", self); err != nil || i.State != Linked || i.PatientNo != "0002" || i.CardNo != "C2" || i.Others != 1 {
		t.Fatalf("%+v, %v", i, err)
	}
	if len(c.Told(t)) != 0 {
		t.Error("registered although the HIS knows him")
	}

	// The other hospital has none: it is told, once, and its number comes back.
	has = nil
	for range 2 {
		if i, err := s.Link(ctx, "h2", self); err != nil || i.State != Registering {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	told := c.Told(t)
	if len(told) != 1 || told[0].Hospital != "h2" || told[0].Kind != core.PatientRegister || told[0].Body.(*core.Patient).PersonID != self.No {
		t.Fatalf("told %+v", told)
	}
	take := func(e core.Event) {
		t.Helper()
		e.Hospital, e.Kind, e.Key = "h2", core.PatientRegister, self.No
		if err := pgx.BeginFunc(ctx, s.Database, func(tx pgx.Tx) error { return s.Take(ctx, tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
	state := func(want State, no string) {
		t.Helper()
		if i, err := s.identity(ctx, s.Database, "h2", self.No); err != nil || i.State != want || i.PatientNo != no {
			t.Errorf("%+v, %v; want %s %s", i, err, want, no)
		}
	}
	take(core.Event{Type: core.EventParked, Reason: "refused"})
	state(Stuck, "")
	take(core.Event{Type: core.EventDelivered, Receipt: &core.Receipt{HisNo: "7700"}})
	state(Linked, "7700")
	take(core.Event{Type: core.EventParked, Reason: "late"})
	take(core.Event{Type: core.EventDelivered, Receipt: &core.Receipt{HisNo: "7700"}})
	state(Linked, "7700")
	if i, err := s.Identity(ctx, "h1", self.No); err != nil || i.PatientNo != "0002" {
		t.Errorf("the first hospital's: %+v, %v", i, err)
	}
}

// A HIS that merged two of its records, or has another, is asked again; a person chooses
// among those it has of him, and among no others.
func TestRelink(t *testing.T) {
	s, c := opened(t)
	ctx := t.Context()
	self := added(t, s, 1, Self, zhang)
	old := time.Now().AddDate(-1, 0, 0)
	var has []core.PatientRecord
	c.Answer = func(string, core.Kind, core.Body) (any, error) { return &core.Patients{Patients: has}, nil }
	relink := func(what string, w Relink, used string, others int) {
		t.Helper()
		i, err := s.Relink(ctx, "h1", self, w)
		if err != nil || i.PatientNo != used || i.Others != others || len(i.Records) != 0 && (len(i.Records) != others+1 || i.Records[0].PatientNo != used || !i.Records[0].Used) {
			t.Errorf("%s: %+v, %v", what, i, err)
		}
		if others > 0 && len(i.Records) == 0 {
			t.Errorf("%s: which records there are is not said", what)
		}
	}
	has = []core.PatientRecord{{PatientNo: "0001", UsedAt: old}, {PatientNo: "0002", UsedAt: old.AddDate(0, 1, 0)}}
	relink("at first", Relink{}, "0002", 1)
	relink("another is chosen", Relink{PatientNo: "0001"}, "0001", 1)
	var ps core.Problems
	for _, w := range []Relink{{PatientNo: "0009"}, {Again: true, PatientNo: "0009"}} {
		if _, err := s.Relink(ctx, "h1", self, w); !errors.As(err, &ps) || ps[0].Field != "patient_no" {
			t.Errorf("somebody else's: %v", err)
		}
	}
	has = append(has, core.PatientRecord{PatientNo: "0003", CardNo: "C3", UsedAt: time.Now()})
	relink("it has not been asked", Relink{}, "0001", 1)
	relink("a third", Relink{Again: true}, "0001", 2)
	relink("a third, chosen", Relink{Again: true, PatientNo: "0003"}, "0003", 2)
	has = has[:2] // it merged the third into the second
	relink("merged", Relink{Again: true}, "0002", 1)
	has = nil
	if _, err := s.Relink(ctx, "h1", self, Relink{Again: true}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("gone: %v", err)
	}
	relink("and nothing is forgotten", Relink{}, "0002", 1)
	has = []core.PatientRecord{{PatientNo: "0009", Name: "测试王五"}}
	if _, err := s.Relink(ctx, "h1", self, Relink{Again: true}); !errors.Is(err, clinic.ErrRule) {
		t.Errorf("under another name: %v", err)
	}
}

func TestLinkWithoutARecordOrAWay(t *testing.T) {
	s, c := opened(t)
	self := added(t, s, 1, Self, zhang)
	c.Answer = func(string, core.Kind, core.Body) (any, error) { return &core.Patients{}, nil }
	c.Cannot[core.PatientRegister] = true
	if _, err := s.Link(t.Context(), "h1", self); !errors.Is(err, clinic.ErrRule) || !strings.Contains(err.Error(), "desk") {
		t.Errorf("%v", err)
	}
	c.Answer = func(string, core.Kind, core.Body) (any, error) {
		return nil, &core.Fault{Class: core.Unavailable, Err: errors.New("down")}
	}
	var fault *core.Fault
	if _, err := s.Link(t.Context(), "h1", self); !errors.As(err, &fault) {
		t.Errorf("%v", err)
	}
	if len(c.Told(t)) != 0 {
		t.Error("registered while the HIS could not be asked")
	}
}

func TestFindIsMaskedAndOfThisHospital(t *testing.T) {
	s, c := opened(t)
	ctx := t.Context()
	self := added(t, s, 1, Self, zhang)
	c.Answer = func(string, core.Kind, core.Body) (any, error) {
		return &core.Patients{Patients: []core.PatientRecord{{PatientNo: "1"}}}, nil
	}
	if _, err := s.Link(ctx, "h1", self); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]Search{"phone": {Phone: zhang.Phone}, "document": {IDNo: "11010519491231002X"}, "name": {Name: zhang.Name}, "all": {zhang.Phone, zhang.IDNo, zhang.Name}} {
		all, err := s.Find(ctx, "h1", q)
		if err != nil || len(all) != 1 || all[0].No != self.No || all[0].IDNo != "110105********002X" || all[0].Phone != "138****8000" || all[0].Name == zhang.Name || all[0].BirthDate != "1949-**-**" {
			t.Errorf("by %s: %+v, %v", name, all, err)
		}
		if all, err := s.Find(ctx, "h2", q); err != nil || len(all) != 0 {
			t.Errorf("the other hospital, by %s: %d, %v", name, len(all), err)
		}
	}
	if all, err := s.Find(ctx, "h1", Search{Phone: zhang.Phone, Name: "测试李四"}); err != nil || len(all) != 0 {
		t.Errorf("half of it fits: %d, %v", len(all), err)
	}
	var ps core.Problems
	if _, err := s.Find(ctx, "h1", Search{}); !errors.As(err, &ps) {
		t.Errorf("everybody: %v", err)
	}
}

// Nothing that names a patient lies in the database in clear.
func TestNothingInClear(t *testing.T) {
	s, _ := opened(t)
	added(t, s, 1, Self, zhang)
	var row string
	if err := s.Database.QueryRow(t.Context(), `select p::text from (select no, account, relation, document, phone, name, verified_at from patient.patient) p`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{zhang.Name, "138001", "1101051949"} {
		if strings.Contains(row, secret) {
			t.Errorf("a column holds %q", secret)
		}
	}
}
