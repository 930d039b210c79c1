package codes

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"hishub/core"
)

func TestNearestByName(t *testing.T) {
	d := NewDictionary([]Entry{
		{"1", "阿莫西林胶囊", "0.25g*24粒"}, {"2", "阿莫西林胶囊", "0.5g*20粒"}, {"3", "布洛芬缓释胶囊", "0.3g"}, {"4", "维生素Ｃ片", "100mg"}, {"5", "注射用头孢曲松钠", "1g"}, {"6", "复方甘草口服溶液（棕色）", ""}, {"7", "", "x"},
		{"1", "a second of this code", ""},
	})
	for _, c := range []struct {
		name, spec, want, why string
		least, most           float64
	}{
		{"阿莫西林胶囊", "0.5g*20粒", "2", "same name and spec", 1, 1},
		{"阿莫西林胶囊", "0.5g×20粒/盒", "2", "same name", 0.5, 0.94}, // two of this name
		{"维生素c片", "", "4", "same name", 0.95, 0.95},
		{"布洛芬胶囊", "", "3", "same name but for the form", 0.85, 0.85},
		{"头孢曲松钠", "", "5", "same name but for the form", 0.85, 0.85},
		{"复方甘草口服溶液(棕色)", "", "6", "same name", 0.95, 0.95},
		{"复方甘草溶液", "", "6", "alike", 0.5, 0.8},
		{"降压零号", "", "", "", 0, 0},
		{"", "x", "", "", 0, 0},
	} {
		near, score, why, ok := d.Nearest(Entry{Code: "?", Name: c.name, Spec: c.spec})
		if near.Code != c.want || why != c.why || score < c.least || score > c.most || ok != (c.want != "") {
			t.Errorf("%s %s: %v %.2f %q", c.name, c.spec, near, score, why)
		}
	}
}

func TestProposals(t *testing.T) {
	table := read(t, "ours,theirs,name\nfemale,2,女\n")
	sexes := NewDictionary([]Entry{{"1", "男", ""}, {"2", "女", ""}, {"9", "不详", ""}})
	uses := table.Lacking([]core.CodeUse{
		{Table: "t", Direction: core.CodeOut, Code: "male"}, {Table: "t", Direction: core.CodeOut, Code: "female"}, {Table: "t", Direction: core.CodeOut, Code: "male", Text: "again"},
		{Table: "t", Direction: core.CodeIn, Code: "9"}, {Table: "t", Direction: core.CodeIn, Code: "M"}, {Table: "t", Direction: core.CodeIn, Code: "?"},
	})
	all, left := table.Propose(uses, sexes, table.Known(), core.Sex("").Values())
	got := string(WriteProposals(all))
	want := "ours,theirs,score,why,our_name,their_name\nmale,1,0.90,known word,,男\nmale,M,0.90,known word,,\nunknown,9,0.90,known word,,不详\n"
	if got != want || len(left) != 1 || left[0].Code != "?" {
		t.Errorf("left %v\n%s", left, got)
	}
	// They can be brought in as they are.
	s, err := ReadSheet("p.csv", []byte(strings.Replace(got, "male,M,0.90,known word,,\n", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	s, without := s.Without(table)
	next, wrong := s.Import("t")
	if wrong != nil || len(without) != 4 {
		t.Fatal(without, wrong)
	}
	if c, wrong := Replace(table, next, true); wrong != nil || string(c.Table.CSV()) != "ours,theirs,name\nfemale,2,女\nmale,1,\nunknown,9,\n" {
		t.Errorf("%v\n%s", wrong, c.Table.CSV())
	}
}

func TestProposalsFromADictionaryPull(t *testing.T) {
	data, err := os.ReadFile("testdata/drugs.json")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := ReadEntries("drugs.json", data)
	if err != nil || len(entries) != 3 {
		t.Fatal(entries, err)
	}
	table := read(t, "ours,theirs,name\nIH01,Y0002,布洛芬缓释胶囊\n")
	uses := []core.CodeUse{
		{Direction: core.CodeOut, Code: "IH02", Text: "阿莫西林胶囊"}, {Direction: core.CodeOut, Code: "Y0003"}, {Direction: core.CodeIn, Code: "Y0009"},
		{Direction: core.CodeOut, Code: "Y0001", Text: "阿司匹林肠溶片"}, {Direction: core.CodeIn, Code: "Y0002"},
	}
	all, left := table.Propose(uses, NewDictionary(entries), table.Known(), nil)
	got := ""
	for _, p := range all {
		got += fmt.Sprintf("%s=%s %.2f %s\n", p.Ours.Code, p.Theirs.Code, p.Score, p.Why)
	}
	// Y0001 is our code of another drug than theirs: the code alone says nothing.
	if want := "IH01=Y0002 0.95 same name\nIH02=Y0001 0.95 same name\nY0001=Y0003 0.95 same name\nY0003=Y0003 0.70 same code\n"; got != want || len(left) != 1 {
		t.Errorf("left %v\n%s", left, got)
	}
}

func TestNear(t *testing.T) {
	table := read(t, "ours,theirs\nPO,1\nIM,2\niv,3\nIV,4\n*,9\n")
	for code, want := range map[string]string{"po": "PO", "ＰＯ": "PO", "p.o": "", "PO": "", "Iv": "", " IM": "IM", "x": ""} {
		if got := table.Near(core.CodeOut, code); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
	if got := table.Near(core.CodeIn, "４"); got != "4" {
		t.Error(got)
	}
}

func BenchmarkProposeFrom20000(b *testing.B) {
	var entries []Entry
	for i := range 20_000 {
		entries = append(entries, Entry{fmt.Sprint(i), fmt.Sprintf("药品%d号胶囊", i), "1g"})
	}
	d := NewDictionary(entries)
	b.ReportAllocs()
	for b.Loop() {
		d.Nearest(Entry{Code: "x", Name: "药品77号颗粒剂丙"})
	}
}
