package rx

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"hishub/platform/catalog"
)

// Hit is a rule that a prescription meets. One that stops must be mended; a warning is
// answered for by the doctor, in words that the pharmacist reads.
type Hit struct {
	// Rule names it: days, items, herbal, dose, daily, quantity, duplicate, interaction, class,
	// age, allergy, diagnosis, drug, frequency, route.
	Rule string `json:"rule"`
	// Line of the items, from 0; -1 is the whole.
	Line  int    `json:"line"`
	Stops bool   `json:"stops"`
	Text  string `json:"text"`
}

// key tells hits apart, so that an answer stays with what it answers.
func (h Hit) key() string { return fmt.Sprintf("%s/%d/%s", h.Rule, h.Line, h.Text) }

// checked is what the rules look at.
type checked struct {
	*Content
	age       int
	drugs     []catalog.Drug // of the items, in their order; Code is "" for an unknown one
	facts     []catalog.Fact
	allergies string
}

// The bounds of the law (处方管理办法) and of the platform.
const (
	maxDays        = 7  // of drugs, without a reason
	maxChronicDays = 84 // with one
	maxWestern     = 5  // drugs on a western prescription
	young          = 6  // years: a child's prescriptions need its guardian and a specialist
	maxValidDays   = 3  // of the prescription
	leastValidDays = 1
)

// rules in the order in which a doctor reads their hits.
var rules = []func(*checked) []Hit{
	drugRule, termRule, itemsRule, herbalRule, daysRule, doseRule, quantityRule, duplicateRule, interactionRule, classRule, ageRule, allergyRule,
}

func check(c *checked) []Hit {
	hits := []Hit{}
	for _, r := range rules {
		hits = append(hits, r(c)...)
	}
	return hits
}

func stop(rule string, line int, format string, a ...any) Hit {
	return Hit{rule, line, true, fmt.Sprintf(format, a...)}
}

func warn(rule string, line int, format string, a ...any) Hit {
	return Hit{rule, line, false, fmt.Sprintf(format, a...)}
}

// drugRule: what is prescribed is in the hospital's catalogue and has a price.
func drugRule(c *checked) (hits []Hit) {
	for i, d := range c.drugs {
		switch {
		case d.Code == "":
			hits = append(hits, stop("drug", i, "药品 %s 不在本院目录中", c.Items[i].Code))
		case d.Closed:
			hits = append(hits, stop("drug", i, "%s 已停用", d.Name))
		case d.Price == "":
			hits = append(hits, stop("drug", i, "%s 没有价格", d.Name))
		}
	}
	return hits
}

// termRule: frequency and route are codes of the platform, which every hospital's tables
// have; the dose's unit is the drug's.
func termRule(c *checked) (hits []Hit) {
	for i, it := range c.Items {
		if _, ok := catalog.FrequencyOf(it.Frequency); !ok {
			hits = append(hits, stop("frequency", i, "没有用药频次 %s", it.Frequency))
		}
		if _, ok := catalog.RouteOf(it.Route); !ok {
			hits = append(hits, stop("route", i, "没有给药途径 %s", it.Route))
		}
		if d := c.drugs[i]; d.DoseUnit != "" && it.DoseUnit != d.DoseUnit {
			hits = append(hits, stop("dose", i, "%s 的剂量单位是 %s", d.Name, d.DoseUnit))
		}
	}
	return hits
}

// itemsRule: a western prescription, or one of patent medicine, has five drugs at most.
func itemsRule(c *checked) []Hit {
	if c.Category != "herbal" && len(c.Items) > maxWestern {
		return []Hit{stop("items", -1, "每张处方不得超过%d种药品", maxWestern)}
	}
	return nil
}

// herbalRule: herbal pieces are on a prescription of their own.
func herbalRule(c *checked) (hits []Hit) {
	for i, d := range c.drugs {
		if d.Form == "" {
			continue
		}
		if pieces := strings.Contains(d.Form, "饮片"); pieces != (c.Category == "herbal") {
			hits = append(hits, stop("herbal", i, "中药饮片应当单独开具处方"))
		}
	}
	return hits
}

// daysRule: seven days of drugs, longer for a chronic disease with its reason.
func daysRule(c *checked) (hits []Hit) {
	for i, it := range c.Items {
		switch {
		case it.Days > maxChronicDays:
			hits = append(hits, stop("days", i, "处方用量不得超过%d日", maxChronicDays))
		case it.Days > maxDays && c.LongReason == "":
			hits = append(hits, stop("days", i, "处方一般不得超过%d日用量；慢性病等特殊情况须注明理由", maxDays))
		}
	}
	return hits
}

// doseRule: one dose and a day's doses are within what is known of the substance.
func doseRule(c *checked) (hits []Hit) {
	for i, it := range c.Items {
		dose, ok := new(big.Rat).SetString(it.Dose)
		f, known := catalog.FrequencyOf(it.Frequency)
		if !ok || !known || dose.Sign() <= 0 {
			continue // said elsewhere
		}
		for _, fact := range c.facts {
			if fact.Substance != c.drugs[i].WorksBy() || fact.DoseUnit != it.DoseUnit {
				continue
			}
			limit, ok := new(big.Rat).SetString(fact.Limit)
			if !ok {
				continue
			}
			switch daily := f.Daily(dose); {
			case fact.Kind == "dose" && dose.Cmp(limit) > 0:
				hits = append(hits, Hit{"dose", i, fact.Stops, fact.Text})
			case fact.Kind == "daily" && daily != nil && daily.Cmp(limit) > 0:
				hits = append(hits, Hit{"daily", i, fact.Stops, fact.Text})
			}
		}
	}
	return hits
}

// quantityRule: the packs that are dispensed last for the days that are written, and not
// for twice as long.
func quantityRule(c *checked) (hits []Hit) {
	for i, it := range c.Items {
		d := c.drugs[i]
		f, known := catalog.FrequencyOf(it.Frequency)
		dose, ok1 := new(big.Rat).SetString(it.Dose)
		qty, ok2 := new(big.Rat).SetString(it.Qty)
		per, ok3 := new(big.Rat).SetString(d.DosePerUnit)
		if !known || !ok1 || !ok2 || !ok3 || per.Sign() <= 0 || f.Daily(dose) == nil {
			continue
		}
		need := new(big.Rat).Mul(f.Daily(dose), big.NewRat(int64(it.Days), 1))
		have := new(big.Rat).Mul(qty, per)
		switch {
		case have.Cmp(need) < 0:
			hits = append(hits, warn("quantity", i, "%s 的数量不足%d日", d.Name, it.Days))
		case have.Cmp(new(big.Rat).Add(new(big.Rat).Mul(need, big.NewRat(2, 1)), per)) > 0:
			hits = append(hits, warn("quantity", i, "%s 的数量远超%d日用量", d.Name, it.Days))
		}
	}
	return hits
}

// pairs of items, each once.
func (c *checked) pairs(f func(i, j int, a, b string)) {
	for i := range c.drugs {
		for j := i + 1; j < len(c.drugs); j++ {
			f(i, j, c.drugs[i].WorksBy(), c.drugs[j].WorksBy())
		}
	}
}

// joins reports whether a fact is about the two substances, in either order.
func joins(f catalog.Fact, a, b string) bool {
	return f.Substance == a && f.Other == b || f.Substance == b && f.Other == a
}

// duplicateRule: no substance twice, and none of one group beside another.
func duplicateRule(c *checked) (hits []Hit) {
	c.pairs(func(i, j int, a, b string) {
		if a == b && a != "" {
			hits = append(hits, stop("duplicate", j, "%s 重复用药", a))
			return
		}
		for _, fact := range c.facts {
			if fact.Kind == "same" && joins(fact, a, b) {
				hits = append(hits, Hit{"duplicate", j, fact.Stops, fact.Text})
			}
		}
	})
	return hits
}

// interactionRule: what must not, or should not, be taken together.
func interactionRule(c *checked) (hits []Hit) {
	c.pairs(func(i, j int, a, b string) {
		for _, fact := range c.facts {
			if fact.Kind == "interaction" && joins(fact, a, b) {
				hits = append(hits, Hit{"interaction", j, fact.Stops, fact.Text})
			}
		}
	})
	return hits
}

// classRule: narcotics, psychotropics, toxic and radioactive drugs and precursors are not
// prescribed online.
func classRule(c *checked) (hits []Hit) {
	names := map[catalog.Class]string{catalog.Narcotic: "麻醉药品", catalog.Psychotropic: "精神药品", catalog.Toxic: "医疗用毒性药品", catalog.Radioactive: "放射性药品", catalog.Precursor: "药品类易制毒化学品"}
	for i, d := range c.drugs {
		class := d.Class
		for _, fact := range c.facts {
			if class == "" && fact.Kind == "class" && fact.Substance == d.WorksBy() {
				class = catalog.Class(fact.Other)
			}
		}
		if class != "" {
			hits = append(hits, stop("class", i, "%s 为%s，不得在互联网开具", d.Name, names[class]))
		}
	}
	return hits
}

// ageRule: what is known of a substance and an age; and for a child under six that its
// guardian is with it.
func ageRule(c *checked) (hits []Hit) {
	for i, d := range c.drugs {
		for _, fact := range c.facts {
			if fact.Kind == "age" && fact.Substance == d.WorksBy() && (fact.AgeFrom > 0 && c.age < fact.AgeFrom || fact.AgeTo > 0 && c.age >= fact.AgeTo) {
				hits = append(hits, Hit{"age", i, fact.Stops, fact.Text})
			}
		}
	}
	if c.age < young && !c.GuardianPresent {
		hits = append(hits, stop("age", -1, "为%d岁以下儿童开具处方，须有监护人和相关专业医师陪伴", young))
	}
	return hits
}

// allergyRule: what the patient says that he does not bear.
func allergyRule(c *checked) (hits []Hit) {
	if c.allergies == "" {
		return nil
	}
	for i, d := range c.drugs {
		if s := d.WorksBy(); s != "" && (strings.Contains(c.allergies, s) || strings.Contains(c.allergies, d.Name)) {
			hits = append(hits, warn("allergy", i, "患者自述对%s过敏", s))
		}
	}
	return hits
}

// open are the hits that keep a prescription from being signed: those that stop, and
// warnings that nobody answers for.
func open(hits []Hit, answers []Answer) (left []Hit) {
	for _, h := range hits {
		answered := slices.ContainsFunc(answers, func(a Answer) bool { return a.Hit.key() == h.key() && strings.TrimSpace(a.Reason) != "" })
		if h.Stops || !answered {
			left = append(left, h)
		}
	}
	return left
}
