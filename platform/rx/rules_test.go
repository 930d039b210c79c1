package rx

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hishub/core"
	"hishub/platform/catalog"
)

// plain is a prescription that no rule has anything against.
func plain() *checked {
	return &checked{
		Content: &Content{Category: "western", Diagnoses: []core.Diagnosis{{Code: "J06.900", Name: "急性上呼吸道感染"}},
			Items: []Item{{Code: "A1", Qty: "2", Dose: "0.5", DoseUnit: "g", Frequency: "tid", Route: "oral", Days: 5}}},
		age:   40,
		drugs: []catalog.Drug{{Code: "A1", Name: "阿莫西林胶囊", Substance: "阿莫西林", Unit: "盒", DoseUnit: "g", DosePerUnit: "6", Price: "12.34", Form: "胶囊"}},
		facts: []catalog.Fact{
			{Kind: "dose", Substance: "阿莫西林", Limit: "1", DoseUnit: "g", Text: "单次剂量大"},
			{Kind: "daily", Substance: "阿莫西林", Limit: "4", DoseUnit: "g", Stops: true, Text: "日剂量大"},
			{Kind: "interaction", Substance: "乙", Other: "阿莫西林", Stops: true, Text: "配伍禁忌"},
			{Kind: "same", Substance: "阿莫西林", Other: "丙", Text: "同类"},
			{Kind: "age", Substance: "丁", AgeFrom: 18, Stops: true, Text: "未成年人禁用"},
			{Kind: "class", Substance: "吗啡", Other: "narcotic", Text: "麻醉"},
		},
	}
}

func (c *checked) add(substance string) {
	c.Items = append(c.Items, Item{Code: substance, Qty: "1", Dose: "1", DoseUnit: "mg", Frequency: "qd", Route: "oral", Days: 1})
	c.drugs = append(c.drugs, catalog.Drug{Code: substance, Name: substance, Price: "1", DoseUnit: "mg"})
}

// Each rule, by its name: what meets it, and whether that stops.
func TestRules(t *testing.T) {
	if hits := check(plain()); len(hits) != 0 {
		t.Fatalf("the plain one meets %+v", hits)
	}
	for name, c := range map[string]struct {
		rule  string
		line  int
		stops bool
		make  func(*checked)
	}{
		"a drug of no catalogue": {"drug", 0, true, func(c *checked) { c.drugs[0] = catalog.Drug{} }},
		"a closed drug":          {"drug", 0, true, func(c *checked) { c.drugs[0].Closed = true }},
		"a drug without a price": {"drug", 0, true, func(c *checked) { c.drugs[0].Price = "" }},
		"an unknown frequency":   {"frequency", 0, true, func(c *checked) { c.Items[0].Frequency = "often" }},
		"an unknown route":       {"route", 0, true, func(c *checked) { c.Items[0].Route = "somehow" }},
		"another unit of dose":   {"dose", 0, true, func(c *checked) { c.Items[0].DoseUnit = "mg" }},
		"rule five drugs: six of them": {"items", -1, true, func(c *checked) {
			for i := range 5 {
				c.add(fmt.Sprint("药", i))
			}
		}},
		"herbal pieces among pills":         {"herbal", 0, true, func(c *checked) { c.drugs[0].Form = "中药饮片" }},
		"pills among herbal pieces":         {"herbal", 0, true, func(c *checked) { c.Category = "herbal" }},
		"rule seven days: eight":            {"days", 0, true, func(c *checked) { c.Items[0].Days, c.Items[0].Qty = 8, "2" }},
		"rule seven days: too long anyhow":  {"days", 0, true, func(c *checked) { c.Items[0].Days, c.Items[0].Qty, c.LongReason = 90, "23", "慢性病" }},
		"a large dose":                      {"dose", 0, false, func(c *checked) { c.Items[0].Dose, c.Items[0].Frequency, c.Items[0].Qty = "1.25", "bid", "3" }},
		"too much a day":                    {"daily", 0, true, func(c *checked) { c.Items[0].Dose, c.Items[0].Frequency, c.Items[0].Qty = "1", "q4h", "6" }},
		"too few packs":                     {"quantity", 0, false, func(c *checked) { c.Items[0].Qty = "1" }},
		"far too many packs":                {"quantity", 0, false, func(c *checked) { c.Items[0].Qty = "9" }},
		"rule duplicate: a substance twice": {"duplicate", 1, true, func(c *checked) { c.add("x"); c.drugs[1].Substance = "阿莫西林" }},
		"rule duplicate: two of a group":    {"duplicate", 1, false, func(c *checked) { c.add("丙") }},
		"rule interaction":                  {"interaction", 1, true, func(c *checked) { c.add("乙") }},
		"rule class: as the hospital says":  {"class", 0, true, func(c *checked) { c.drugs[0].Class = catalog.Psychotropic }},
		"rule class: as is known":           {"class", 1, true, func(c *checked) { c.add("吗啡") }},
		"rule age: too young for it":        {"age", 1, true, func(c *checked) { c.add("丁"); c.age = 17 }},
		"rule guardian: a child of five":    {"age", -1, true, func(c *checked) { c.age = 5 }},
		"an allergy":                        {"allergy", 0, false, func(c *checked) { c.allergies = "青霉素、阿莫西林" }},
	} {
		v := plain()
		c.make(v)
		hits := check(v)
		if len(hits) != 1 || hits[0].Rule != c.rule || hits[0].Line != c.line || hits[0].Stops != c.stops || hits[0].Text == "" {
			t.Errorf("%s: %+v", name, hits)
		}
	}
	for name, make := range map[string]func(*checked){
		"five drugs": func(c *checked) {
			for i := range 4 {
				c.add(fmt.Sprint("药", i))
			}
		},
		"eight days with a reason":    func(c *checked) { c.Items[0].Days, c.LongReason = 8, "高血压长期用药" },
		"a child with its guardian":   func(c *checked) { c.age, c.GuardianPresent = 5, true },
		"of age":                      func(c *checked) { c.add("丁"); c.age = 18 },
		"when necessary, at any dose": func(c *checked) { c.Items[0].Frequency = "prn" },
		"six herbs": func(c *checked) {
			c.Category, c.drugs[0].Form = "herbal", "中药饮片"
			for i := range 6 {
				c.add(fmt.Sprint("草", i))
			}
		},
		"an allergy to something else": func(c *checked) { c.allergies = "花粉" },
	} {
		v := plain()
		make(v)
		if hits := check(v); len(hits) != 0 {
			t.Errorf("%s: %+v", name, hits)
		}
	}
}

func TestAnswers(t *testing.T) {
	hits := []Hit{{"dose", 0, false, "大"}, {"class", 1, true, "禁"}, {"dose", 2, false, "大"}}
	left := open(hits, []Answer{{Hit: hits[0], Reason: "患者体重大"}, {Hit: hits[1], Reason: "仍要开"}, {Hit: Hit{"dose", 2, false, "别的"}, Reason: "?"}, {Hit: hits[2], Reason: " "}})
	if !slices.Equal(left, hits[1:]) {
		t.Errorf("left: %+v", left)
	}
	if e := (&Refused{left}); len(e.problems()) != 2 || !strings.Contains(e.problems()[0].What, "rule class") || e.problems()[0].Field != "items[1]" {
		t.Errorf("%v", e.problems())
	}
}
