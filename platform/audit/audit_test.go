package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hishub/core/postgres"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
	"hishub/platform/patient"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// families by account.
type families map[int64][]patient.Record

func (f families) Family(_ context.Context, account int64) ([]patient.Record, error) {
	return f[account], nil
}

// opened is the module over a real chain.
func opened(t *testing.T) (*Service, *postgres.Store) {
	t.Helper()
	c := clinictest.New(t)
	url := c.Database.Config().ConnString()
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(t.Context(), postgres.Options{URL: url, KeyFile: filepath.Join(t.TempDir(), "key"), CreateKey: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := &Service{Clinic: c.Clinic, Patients: families{7: {{No: "PA"}, {No: "PB"}}, 8: {{No: "PC"}}}, Verify: func(ctx context.Context) (Checked, error) {
		r, err := store.VerifyAudit(ctx)
		c := Checked{Entries: r.Entries, Head: r.Head.Digest.String()}
		for _, f := range r.Faults {
			c.Faults = append(c.Faults, fmt.Sprintf("entry %d: %s", f.Number, f.What))
		}
		return c, err
	}}
	// One act is older than the index.
	act(t, store, "李主任 (account 3)", "clinic-prescription-list", "h1", "PA", "PC")
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, store
}

func act(t *testing.T, store *postgres.Store, who, verb, hospital string, patients ...string) {
	t.Helper()
	a := postgres.Act{Who: who, Role: "doctor", Verb: verb, Hospital: hospital, Subject: "prescription RX1", Purpose: "因为测试患者丙"}
	if patients != nil {
		a.Data = map[string]any{"patients": patients}
	}
	if err := store.Audit(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

func TestWhoHasLookedAtMe(t *testing.T) {
	s, store := opened(t)
	act(t, store, "account 7", "clinic-prescription-own", "", "PA")
	act(t, store, "王药师 (account 33)", "clinic-review-get", "h1", "PB")
	act(t, store, "王药师 (account 33)", "clinic-review-get", "h1", "PC")
	act(t, store, "hub", "release", "h1")
	looks, family, err := s.LookedAt(t.Context(), 7, 0, 10)
	if err != nil || len(looks) != 2 || !slices.Equal(family, []string{"PA", "PB"}) {
		t.Fatal(looks, family, err)
	}
	if looks[0].Who != "王药师" || !slices.Equal(looks[0].Patients, []string{"PB"}) || looks[1].Who != "李主任" || !slices.Equal(looks[1].Patients, []string{"PA"}) {
		t.Fatal("another's number, or an account's, is shown:", looks)
	}
	if page, _, err := s.LookedAt(t.Context(), 7, looks[0].Number, 10); err != nil || len(page) != 1 || page[0].Number != looks[1].Number {
		t.Fatal(page, err)
	}
	if none, _, err := s.LookedAt(t.Context(), 9, 0, 10); err != nil || len(none) != 0 {
		t.Fatal("who has no family sees", none, err)
	}
}

func TestSearch(t *testing.T) {
	s, store := opened(t)
	act(t, store, "account 7", "clinic-prescription-own", "", "PA")
	act(t, store, "王药师 (account 33)", "clinic-review-get", "h2", "PB")
	act(t, store, "假冒 (account 3) x", "unmask", "h2", "PB")
	for name, c := range map[string]struct {
		hospitals []string
		q         Search
		found     int
	}{
		"everything": {nil, Search{}, 4}, "of h1": {[]string{"h1"}, Search{}, 1}, "of none": {[]string{}, Search{}, 0},
		"account": {nil, Search{Account: 3}, 1}, "patient": {nil, Search{Patient: "PA"}, 2}, "verb": {nil, Search{Verb: "unmask"}, 1},
		"subject": {nil, Search{Subject: "prescription RX1"}, 4}, "actor": {nil, Search{Actor: "account 7"}, 1},
		"foreign hospital": {[]string{"h1"}, Search{Hospital: "h2"}, 0}, "no wildcard": {nil, Search{Patient: "P%"}, 0}, "page": {nil, Search{Before: 3}, 2}, "limit": {nil, Search{Limit: 1}, 1},
	} {
		if all, err := s.Find(t.Context(), c.hospitals, c.q); err != nil || len(all) != c.found {
			t.Errorf("%s: %d, must be %d: %v", name, len(all), c.found, err)
		}
	}
}

// Data that is not what the index thinks must not keep an act out of the audit.
func TestStrangeDataIsKept(t *testing.T) {
	s, store := opened(t)
	for _, data := range []any{map[string]any{"patients": "PA"}, map[string]any{"patients": map[string]any{"a": 1}}, []string{"patients"}, map[string]any{"patients": nil}, "\"patients\""} {
		if err := store.Audit(t.Context(), postgres.Act{Who: "account 99999999999999999999", Verb: "v", Data: data}); err != nil {
			t.Error(data, err)
		}
	}
	if all, err := s.Find(t.Context(), nil, Search{Verb: "v"}); err != nil || len(all) != 5 || len(all[0].Patients) != 0 {
		t.Fatal(all, err)
	}
}

func TestThePatientsIndexAnswers(t *testing.T) {
	s, _ := opened(t)
	conn, err := s.Database.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `set enable_seqscan = off; set enable_indexscan = off`); err != nil {
		t.Fatal(err)
	}
	var plan string
	if err := conn.QueryRow(t.Context(), `explain (format json) select number from hub.audit where `+fmt.Sprintf(of, 1), []string{"PA"}).Scan(&plan); err != nil || !strings.Contains(plan, "audit_patients") {
		t.Fatal(plan, err)
	}
}

func TestAnAlteredEntryIsFound(t *testing.T) {
	s, _ := opened(t)
	if _, err := s.Last(t.Context()); !errors.Is(err, clinic.ErrNotFound) {
		t.Fatal(err)
	}
	if c, err := s.Check(t.Context()); err != nil || c.Entries != 1 || len(c.Faults) != 0 {
		t.Fatal(c, err)
	}
	if _, err := s.Database.Exec(t.Context(), `alter table hub.audit disable trigger audit_refuse; update hub.audit set actor = '别人'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Last(t.Context()); err != nil || len(c.Faults) == 0 || !strings.Contains(c.Faults[0], "entry 1") {
		t.Fatal(c, err)
	}
}

func TestAnAuditorSeesHisHospitalsOnly(t *testing.T) {
	at := func(role clinic.Role, hospital string) clinic.Grant {
		return clinic.Grant{Role: role, Hospital: hospital}
	}
	if h := hospitalsOf(clinic.Person{Grants: []clinic.Grant{at(clinic.Auditor, "h1"), at(clinic.Finance, "h2"), at(clinic.Ops, "")}}); !slices.Equal(h, []string{"h1"}) {
		t.Fatal(h)
	}
	if h := hospitalsOf(clinic.Person{Grants: []clinic.Grant{at(clinic.Auditor, "h1"), at(clinic.Auditor, "")}}); h != nil {
		t.Fatal(h)
	}
	if h := hospitalsOf(clinic.Person{}); h == nil {
		t.Fatal("nobody sees all")
	}
}
