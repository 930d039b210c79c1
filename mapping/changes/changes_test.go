package changes

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

func side(name string, files map[string]string) Side {
	out := Side{Name: name, Files: fstest.MapFS{}, Dialect: &core.Dialect{}}
	for n, text := range files {
		out.Files.(fstest.MapFS)[n] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestKeysAndPasswordsAreNotShown(t *testing.T) {
	c, err := Between(
		side("old", map[string]string{"hub.pem": "-----BEGIN PRIVATE KEY-----\nOLDKEY", "hospital.yaml": "proxy: http://u:oldpass@h:1\n", "env.sample": "A_PASSWORD=oldpass\nB=1\n", "x.bin": "\xff\x01"}),
		side("new", map[string]string{"hub.pem": "-----BEGIN PRIVATE KEY-----\nNEWKEY", "hospital.yaml": "proxy: http://u:newpass@h:1\n", "env.sample": "A_PASSWORD=newpass\nB=2\n", "x.bin": "\xff\x02", ".hidden": "x"}))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range c.Files {
		all.WriteString(f.Name + "\n" + f.Diff)
	}
	for _, n := range c.Notes {
		all.WriteString(n.About + ": " + n.What + "\n")
	}
	for _, hidden := range []string{"OLDKEY", "NEWKEY", "oldpass", "newpass", ".hidden"} {
		if strings.Contains(all.String(), hidden) {
			t.Errorf("%s is shown:\n%s", hidden, all.String())
		}
	}
	for _, told := range []string{"hub.pem\n(a key; it is not shown)", "x.bin\n(no text; 2 and 2 bytes)", "hospital.yaml\n(only what is not shown differs)", "+B=2"} {
		if !strings.Contains(all.String(), told) {
			t.Errorf("no %q in\n%s", told, all.String())
		}
	}
}

func TestWhatRulesMean(t *testing.T) {
	c, err := Between(
		side("old", map[string]string{"p.yaml": "payment.settle:\n  steps: [{name: pay, outcome: {ok: a == \"1\", verify: b}}]\n"}),
		side("new", map[string]string{"p.yaml": "payment.settle:\n  steps: [{name: pay, outcome: {ok: true, rejected: true, busy: c}}]\n"}))
	if err != nil {
		t.Fatal(err)
	}
	var warnings, notes int
	for _, n := range c.Notes {
		if n.Warning {
			warnings++
		} else {
			notes++
		}
	}
	if warnings != 3 || notes != 2 { // ok, rejected, verify; is changed, busy
		t.Errorf("got %+v", c.Notes)
	}
}

const fragmented = `fragments:
  person: {3: [{1: = this.patient_no, 5: PN}], 5: = this.patient_name}
  visit: {PID: {$use: person}, PV1: {1: 1, 2: O}}
  ours: {busy: a == "9"}
  head: {3: IH}
envelopes: {default: {write: {send: {MSH: {$use: head}}}}, plain: {read: {answer: = body}}}
`

// An operation says what its fragments say: it is changed with them, and not by
// being written in another way.
func TestFragmentsAreWhatTheyStandFor(t *testing.T) {
	const operations = `
prescription.create: {send: {$use: visit, ZTO: {1: x}}}
prescription.void: {send: {PID: {$use: [person]}}}
order.create: {send: {PV1: {1: 1}}, outcome: {$use: ours}}
`
	for name, c := range map[string]struct {
		old, new string // in hospital.yaml
		from, to string // in the operations
		want     []string
	}{
		"a fragment":                   {"5: PN", "5: NI", "", "", []string{"fragment person: is changed", "prescription.create: is changed by what it uses: person", "prescription.void: is changed by what it uses: person"}},
		"a fragment that only one has": {"2: O", "2: E", "", "", []string{"fragment visit: is changed", "prescription.create: is changed by what it uses: visit"}},
		"a fragment and more":          {"5: PN", "5: NI", "1: x", "1: y", []string{"fragment person: is changed", "prescription.create: is changed", "prescription.void: is changed by what it uses: person"}},
		"rules":                        {`a == "9"`, "true", "", "", []string{"fragment ours: is changed", "order.create: is changed by what it uses: ours", `order.create: the rule outcome.busy is true, was a == "9"`}},
		"of an envelope":               {"3: IH", "3: IZ", "", "", []string{"envelope default: is changed, for all that uses it", "fragment head: is changed"}},
		"written out":                  {"", "", "PID: {$use: [person]}", "PID: {3: [{1: = this.patient_no, 5: PN}], 5: = this.patient_name}", nil},
		"a list of one":                {"", "", "$use: visit", "$use: [visit]", nil},
		"another fragment":             {"", "", "$use: visit", "PID: {$use: person}, PV1: {1: 1, 2: O}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c1, err := Between(
				side("old", map[string]string{"hospital.yaml": fragmented, "p.yaml": operations}),
				side("new", map[string]string{"hospital.yaml": strings.Replace(fragmented, c.old, c.new, 1), "p.yaml": strings.Replace(operations, c.from, c.to, 1)}))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range c1.Notes {
				got = append(got, n.About+": "+n.What)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if len(c1.Files) == 0 {
				t.Error("no file differs")
			}
		})
	}
}
