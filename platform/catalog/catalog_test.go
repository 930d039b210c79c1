package catalog

import (
	"encoding/csv"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hishub/core"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
	"hishub/platform/clinic/clinictest"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

func opened(t *testing.T, drugs *core.Drugs, terms *core.Terms) *Service {
	t.Helper()
	c := clinictest.New(t)
	c.Answer = func(_ string, kind core.Kind, _ core.Body) (any, error) {
		if kind == core.DrugList {
			return drugs, nil
		}
		return terms, nil
	}
	c.Cannot[core.ICDList] = terms == nil
	s := &Service{c.Clinic}
	for range 2 { // a second start changes nothing
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func synced(t *testing.T, s *Service) {
	t.Helper()
	lists, err := s.Sync(t.Context(), "h1", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		if l.Problem != "" {
			t.Fatal(l.Problem)
		}
	}
}

func TestDrugsHaveVersions(t *testing.T) {
	drugs := &core.Drugs{Drugs: []core.Drug{
		{Code: "A1", Name: "阿莫西林胶囊", Spec: "0.25g*24", Unit: "盒", DoseUnit: "g", DosePerUnit: "6", Price: "12.3450"},
		{Code: "A1", Name: "阿莫西林胶囊", Price: "99", Pharmacy: "2"},
		{Code: "B2", Name: "布洛芬缓释胶囊", Unit: "盒", Price: "20"}, {Code: "C3", Name: "停用药", Closed: true},
	}}
	s := opened(t, drugs, nil)
	ctx := t.Context()
	synced(t, s)
	d, err := s.Drug(ctx, "h1", "A1")
	if err != nil || d.Price != "12.3450" || d.Version != 1 || d.WorksBy() != "阿莫西林胶囊" {
		t.Fatalf("%+v, %v", d, err)
	}
	if d, err = s.Say(ctx, "h1", "A1", Addition{Substance: "阿莫西林", Version: 1}); err != nil || d.Version != 2 || d.WorksBy() != "阿莫西林" {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := s.Say(ctx, "h1", "A1", Addition{Version: 1}); !errors.Is(err, clinic.ErrState) {
		t.Errorf("overwritten: %v", err)
	}
	drugs.Drugs[0].Price = "13.0000"
	synced(t, s)
	synced(t, s) // the same again is no version
	if d, err = s.Drug(ctx, "h1", "A1"); err != nil || d.Price != "13.0000" || d.Version != 3 || d.Substance != "阿莫西林" {
		t.Errorf("%+v, %v", d, err)
	}
	var prices []string
	if err := s.Database.QueryRow(ctx, `select array_agg(price order by version) from catalog.drug_version where hospital = 'h1' and code = 'A1'`).Scan(&prices); err != nil || strings.Join(prices, " ") != "12.3450 13.0000" {
		t.Errorf("%v, %v", prices, err)
	}
	for words, want := range map[string]string{"": "A1 B2", "布洛": "B2", "阿莫西林": "A1", "b": "B2", "停用": "", "%": ""} {
		found, err := s.Search(ctx, "h1", words, "", 10)
		var codes []string
		for _, d := range found {
			codes = append(codes, d.Code)
		}
		if err != nil || strings.Join(codes, " ") != want {
			t.Errorf("%q finds %v, %v", words, codes, err)
		}
	}
	if found, err := s.Search(ctx, "h2", "", "", 10); err != nil || len(found) != 0 {
		t.Errorf("another hospital has %d", len(found))
	}
}

func TestDiagnoses(t *testing.T) {
	s := opened(t, &core.Drugs{}, &core.Terms{Terms: []core.Term{{Code: "J06.900", Name: "急性上呼吸道感染"}, {Code: "I10.x00", Name: "高血压", Closed: true}}})
	ctx := t.Context()
	if d, err := s.Diagnosis(ctx, "h1", "X1", "随便"); err != nil || d.Name != "随便" {
		t.Errorf("a hospital without a list: %+v, %v", d, err)
	}
	synced(t, s)
	if d, err := s.Diagnosis(ctx, "h1", "J06.900", "随便"); err != nil || d.Name != "急性上呼吸道感染" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, code := range []string{"X1", "I10.x00"} {
		if _, err := s.Diagnosis(ctx, "h1", code, "随便"); !errors.Is(err, clinic.ErrNotFound) {
			t.Errorf("%s: %v", code, err)
		}
	}
	if found, err := s.Diagnoses(ctx, "h1", "j06", "", 10); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestKnowledgeIsOfOneHospital(t *testing.T) {
	s := opened(t, &core.Drugs{}, nil)
	ctx := t.Context()
	sample, err := s.Knowledge(ctx, "h1")
	if err != nil || len(sample.Facts) < 10 || sample.Version != 1 {
		t.Fatalf("%+v, %v", sample, err)
	}
	facts, err := ReadFacts(strings.NewReader("\ufefftext,kind,substance,other,stops\n不合用,interaction,甲,乙,yes\n"))
	if err != nil || len(facts) != 1 || facts[0] != (Fact{Kind: "interaction", Substance: "甲", Other: "乙", Stops: true, Text: "不合用"}) {
		t.Fatalf("%+v, %v", facts, err)
	}
	if _, err := s.Import(ctx, "h1", "测试库", "account 1", facts); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Knowledge(ctx, "h1"); err != nil || k.Source != "测试库" || len(k.Facts) != 1 {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := s.Knowledge(ctx, "h2"); err != nil || k.Version != sample.Version {
		t.Errorf("the other hospital has it, too: %+v, %v", k, err)
	}
}

func TestWrongFactsAreNamedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "line 1",
		"kind,colour\n":         `"colour"`,
		"kind,substance,text\n": "nothing but the header",
		"kind,text\nage\n":      "line 2",
		"kind,substance,text\ninteraction,甲,乙\n":               "other is missing",
		"kind,substance,text,limit\ndose,甲,t,viel\n":           "limit",
		"kind,substance,text,age_from\nage,甲,t,jung\n":         "age_from",
		"kind,substance,text,other\nclass,甲,t,nice\n":          "no class",
		"kind,substance,text,other\nsame,甲,t,乙\nbirth,甲,t,乙\n": "line 3",
		"kind,substance,text,other\n\"same,甲,t,乙\n":            "line 2",
	} {
		if _, err := ReadFacts(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDailyDose(t *testing.T) {
	for code, want := range map[string]string{"tid": "3/2", "qod": "1/4", "q2h": "6/1", "biw": "1/7"} {
		f, ok := FrequencyOf(code)
		if !ok || f.Daily(big.NewRat(1, 2)).String() != want {
			t.Errorf("%s: %v", code, f.Daily(big.NewRat(1, 2)))
		}
	}
	if f, _ := FrequencyOf("prn"); f.Daily(big.NewRat(1, 2)) != nil {
		t.Error("what is taken when necessary has a daily dose")
	}
}

// The platform's own terms and the shipped hospitals' tables name the same codes: what
// can be prescribed, each of them can be told.
func TestTermsAreThoseOfTheFolders(t *testing.T) {
	ours := map[string]map[string]bool{"frequency": {}, "route": {}}
	for _, f := range Frequencies {
		ours["frequency"][f.Code] = true
	}
	for _, r := range Routes {
		ours["route"][r.Code] = true
	}
	for name, codes := range ours {
		files, err := filepath.Glob("../../mapping/hospitals/*/codes/" + name + ".csv")
		if err != nil || len(files) == 0 {
			t.Fatalf("no table %s: %v", name, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			theirs := map[string]bool{}
			for _, row := range rows[1:] {
				theirs[row[0]] = true
				if row[0] != "*" && !codes[row[0]] {
					t.Errorf("%s: %s is no code of the platform", file, row[0])
				}
			}
			for code := range codes {
				if !theirs[code] && !theirs["*"] {
					t.Errorf("%s: %s cannot be told", file, code)
				}
			}
		}
	}
}
