package certify

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"hishub/core"
	"hishub/mapping"
)

// folder is chapter A: what can be said without the HIS.
func (r *run) folder() {
	results := r.Agreed.RunCases()
	r.cert.Coverage = coverage(r.Folder.Dialect, results)
	r.cert.Variables = variables(r.Files)
	r.item("A.check", "", func(it *Item) {
		for _, w := range r.Folder.Warnings {
			it.say("提醒：%s", "worth a look: %s", w)
		}
	})
	r.item("A.cases", "", func(it *Item) {
		for _, c := range results {
			if !c.Passed() {
				it.fail("%s：%s", "%s: %s", c.Name, strings.Join(c.Differences, "; "))
			}
		}
		switch {
		case len(results) == 0:
			it.fail("没有用例", "there are no cases")
		case it.Result == Pass:
			it.say("%d 个用例全部通过", "%d cases pass", len(results))
		}
	})
	r.item("A.coverage", "", func(it *Item) {
		for _, c := range r.cert.Coverage {
			if c.Cases == 0 {
				it.fail("%s 没有用例", "%s has no case", c.Kind)
			}
		}
	})
	r.item("A.identity", "", func(it *Item) {
		it.say("摘要 %s", "digest %s", r.cert.Digest)
		it.say("环境变量：%s", "environment: %s", or(strings.Join(r.cert.Variables, ", "), "–"))
	})
}

// coverage lists what the folder has, in the order of the catalogue.
func coverage(d *core.Dialect, cases []mapping.CaseResult) []Covered {
	number := map[core.Kind]int{}
	for _, c := range cases {
		if parts := strings.SplitN(c.Name, ".", 3); len(parts) > 1 {
			number[core.Kind(parts[0]+"."+parts[1])]++
		}
	}
	out := []Covered{}
	for _, t := range core.Catalogue {
		op := d.Operations[t.Kind]
		if op == nil && (t.Mode != core.Inbound || !d.Pushes(t.Kind)) {
			continue
		}
		c := Covered{Kind: t.Kind, Cases: number[t.Kind]}
		if op != nil && t.Mode == core.Write {
			c.Inquiry = inquirable(op)
			c.Repeat = !slices.ContainsFunc(op.Steps, func(s core.Step) bool { return !s.RepeatSafe })
			c.Undo = slices.ContainsFunc(op.Steps, func(s core.Step) bool { return s.Undo != nil }) || d.Operations[counterpart(t.Kind)] != nil
		}
		out = append(out, c)
	}
	return out
}

// counterpart is the transaction that takes another one back.
func counterpart(kind core.Kind) core.Kind {
	switch kind {
	case core.PrescriptionCreate:
		return core.PrescriptionVoid
	case core.OrderCreate:
		return core.OrderCancel
	case core.PaymentSettle:
		return core.RefundCreate
	case core.AppointmentLock:
		return core.AppointmentUnlock
	case core.AppointmentBook, core.AppointmentPay:
		return core.AppointmentCancel
	}
	return ""
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// variables are the names of the environment that the folder's files use.
func variables(files fs.FS) []string {
	names := map[string]bool{}
	found, _ := fs.Glob(files, "*.yaml")
	for _, name := range found {
		if strings.HasPrefix(path.Base(name), ".") {
			continue
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			continue
		}
		for _, m := range variable.FindAllSubmatch(data, -1) {
			names[string(m[1])] = true
		}
	}
	return sorted(names)
}
