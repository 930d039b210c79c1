package directory

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// his answers with the lists that it holds.
type his struct {
	departments core.Departments
	doctors     core.Doctors
	err         error
	cannot      map[core.Kind]bool
	asked       int
}

func (h *his) ask(_ string, kind core.Kind, _ core.Body) (any, error) {
	h.asked++
	if h.err != nil {
		return nil, h.err
	}
	if kind == core.DepartmentList {
		return &h.departments, nil
	}
	return &h.doctors, nil
}

func opened(t *testing.T, h *his) *Service {
	t.Helper()
	c := clinictest.New(t)
	c.Answer = h.ask
	s := &Service{c.Clinic}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.cannot = c.Cannot
	return s
}

func filled(n int) *his {
	h := &his{departments: core.Departments{Departments: []core.Department{{Code: "01", Name: "内科"}, {Code: "0101", Name: "心内科", Parent: "01"}}}}
	for i := range n {
		h.doctors.Doctors = append(h.doctors.Doctors, core.Doctor{Code: fmt.Sprintf("D%02d", i), Name: fmt.Sprintf("医生%02d", i), Title: "主任医师", DepartmentCode: "0101"})
	}
	h.doctors.Doctors = append(h.doctors.Doctors, core.Doctor{Code: "D00", Name: "医生00", Title: "主任医师", DepartmentCode: "01"})
	return h
}

func synced(t *testing.T, s *Service, sure bool) []clinic.List {
	t.Helper()
	lists, err := s.Sync(t.Context(), "h1", sure)
	if err != nil {
		t.Fatal(err)
	}
	return lists
}

func codes(t *testing.T, s *Service, f Filter) string {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = 100
	}
	all, err := s.Doctors(t.Context(), "h1", f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range all {
		out = append(out, d.Code)
	}
	return strings.Join(out, " ")
}

func TestSyncFillsAndCloses(t *testing.T) {
	h := filled(6)
	s := opened(t, h)
	lists := synced(t, s, false)
	if len(lists) != 2 || lists[0].Entries != 2 || lists[1].Entries != 6 || lists[0].AsOf == nil || lists[0].Problem != "" {
		t.Fatalf("%+v", lists)
	}
	d, err := s.Doctor(t.Context(), "h1", "D00")
	if err != nil || strings.Join(d.Departments, " ") != "01 0101" || d.Name != "医生00" {
		t.Fatalf("%+v, %v", d, err)
	}
	if got := codes(t, s, Filter{Department: "01"}); got != "D00" {
		t.Errorf("of 01: %s", got)
	}
	if got := codes(t, s, Filter{Words: "生03"}); got != "D03" {
		t.Errorf("by words: %s", got)
	}
	if got := codes(t, s, Filter{After: "D01", Limit: 2}); got != "D02 D03" {
		t.Errorf("a page: %s", got)
	}

	// One left: closed, not gone; and comes back with what was written of him.
	if _, err := s.Describe(t.Context(), "h1", "D03", Page{Introduction: "…", GoodAt: "高血压", Version: 1}); err != nil {
		t.Fatal(err)
	}
	all := h.doctors.Doctors
	h.doctors.Doctors = append(append([]core.Doctor{}, all[:3]...), all[4:]...)
	synced(t, s, false)
	if d, err = s.Doctor(t.Context(), "h1", "D03"); err != nil || !d.Closed || codes(t, s, Filter{Words: "高血压"}) != "" {
		t.Fatalf("he left: %+v, %v", d, err)
	}
	h.doctors.Doctors = all
	synced(t, s, false)
	if d, err = s.Doctor(t.Context(), "h1", "D03"); err != nil || d.Closed || d.GoodAt != "高血压" {
		t.Fatalf("he came back: %+v, %v", d, err)
	}
}

// A HIS in trouble answers with nothing, or with little: that closes nobody.
func TestSyncDoesNotBelieveEmptiness(t *testing.T) {
	h := filled(6)
	s := opened(t, h)
	synced(t, s, false)
	before := codes(t, s, Filter{})
	for name, doctors := range map[string][]core.Doctor{"nothing": nil, "little": h.doctors.Doctors[:2]} {
		all := h.doctors.Doctors
		h.doctors.Doctors = doctors
		lists := synced(t, s, false)
		if codes(t, s, Filter{}) != before || lists[1].Problem == "" || lists[1].Entries != 6 {
			t.Errorf("%s: %+v, %s", name, lists[1], codes(t, s, Filter{}))
		}
		h.doctors.Doctors = all
	}
	h.doctors.Doctors = h.doctors.Doctors[:2]
	if lists := synced(t, s, true); lists[1].Problem != "" || codes(t, s, Filter{}) != "D00 D01" {
		t.Errorf("a person is sure: %+v, %s", lists[1], codes(t, s, Filter{}))
	}
}

func TestSyncKeepsWhatItHas(t *testing.T) {
	h := filled(4)
	s := opened(t, h)
	synced(t, s, false)
	before := codes(t, s, Filter{})
	for err, say := range map[error]string{
		&core.Fault{Class: core.Unavailable, Err: errors.New("dial 10.0.0.1")}: "did not answer",
		&core.Fault{Class: core.Invalid, Err: errors.New("cell")}:              "folder",
		errors.New("张三 is unknown"):                                            "refused",
	} {
		h.err = err
		lists := synced(t, s, false)
		if !strings.Contains(lists[0].Problem, say) || strings.Contains(lists[0].Problem, "10.0.0.1") || strings.Contains(lists[0].Problem, "张三") || codes(t, s, Filter{}) != before {
			t.Errorf("%v: %q", err, lists[0].Problem)
		}
	}
	h.err = nil
	if lists := synced(t, s, false); lists[0].Problem != "" {
		t.Errorf("it answers again: %q", lists[0].Problem)
	}
	if _, err := s.Sync(t.Context(), "nowhere", false); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("no such hospital: %v", err)
	}
	h.cannot[core.DoctorList], h.asked = true, 0
	synced(t, s, false)
	if h.asked != 1 {
		t.Errorf("a HIS without a list of doctors was asked %d times", h.asked)
	}
}

func TestDescribeIsNoBlindWrite(t *testing.T) {
	s := opened(t, filled(1))
	synced(t, s, false)
	if d, err := s.Describe(t.Context(), "h1", "D00", Page{Introduction: "first", Version: 1}); err != nil || d.Version != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	if d, err := s.Describe(t.Context(), "h1", "D00", Page{Introduction: "second", Version: 1}); !errors.Is(err, clinic.ErrState) || d.Introduction != "first" {
		t.Errorf("overwritten: %+v, %v", d, err)
	}
	if _, err := s.Describe(t.Context(), "h1", "D99", Page{Version: 1}); !errors.Is(err, clinic.ErrNotFound) {
		t.Errorf("nobody described: %v", err)
	}
}

// The job asks each hospital once a night, and again within the hour after a failure.
func TestSyncAllAsksWhenItIsTime(t *testing.T) {
	h := filled(4)
	s := opened(t, h)
	run := func(want int) { // of two hospitals
		t.Helper()
		h.asked = 0
		if err := s.Jobs()[0].Run(t.Context()); err != nil || h.asked != want {
			t.Errorf("asked %d times, want %d; %v", h.asked, want, err)
		}
	}
	run(4)
	run(0)
	if _, err := s.Database.Exec(t.Context(), `update clinic.list set as_of = as_of - interval '21 hours' where list = 'doctor'`); err != nil {
		t.Fatal(err)
	}
	h.err = &core.Fault{Class: core.Unavailable, Err: errors.New("down")}
	run(2)
	run(2) // still not had
	h.err = nil
	run(2)
	run(0)
}
