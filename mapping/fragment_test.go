package mapping

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

const fragmented = `grammar: 1
hospital: pian
name: 片测试医院
constants: {org: PT01}
connectors: {default: {rest: {base: "http://127.0.0.1:1"}}}
fragments:
  head: {Org: = const.org, Kind: = message.kind}
  patient:
    Head: {$use: head}
    Name: = this.patient_name
    No: {.root: "2.16", .value: = this.patient_no}
  org: {Org: = const.org}
  both: {$use: [org, kind], Last: 1}
  kind: {Kind: = message.kind}
  names: [{$each: 'x in ["a", "b"]', N: = x + this.visit_no}]
envelopes:
  default:
    write: {send: {$json: {$use: head, Doc: = body}}}
    read: {answer: = from_json(body)}
    outcome: {ok: answer.code == "0", rejected: true}
`

func fragmentFolder(operations string) fstest.MapFS {
	return fstest.MapFS{"hospital.yaml": {Data: []byte(fragmented)}, "prescription.yaml": {Data: []byte(operations)}}
}

func TestFragments(t *testing.T) {
	f := load(t, fragmentFolder(`
prescription.create:
  call: POST /a
  send: {Before: 1, $use: patient, After: {$use: names}}
  repeat_safe: true
payment.settle:
  call: POST /b
  send: {Who: {$use: patient, More: true}, List: [{$use: head}], Two: {A: 1, $use: [kind, org], B: 2}, Both: {$use: both}}
  repeat_safe: true
`))
	for kind, want := range map[core.Kind]string{
		core.PrescriptionCreate: `{"Org":"PT01","Kind":"prescription.create","Doc":{"Before":1,"Head":{"Org":"PT01","Kind":"prescription.create"},"Name":"张三测试","No":{".root":"2.16",".value":"P1"},"After":[{"N":"aV1"},{"N":"bV1"}]}}`,
		core.PaymentSettle:      `{"Org":"PT01","Kind":"payment.settle","Doc":{"Who":{"Head":{"Org":"PT01","Kind":"payment.settle"},"Name":"张三测试","No":{".root":"2.16",".value":"P1"},"More":true},"List":[{"Org":"PT01","Kind":"payment.settle"}],"Two":{"A":1,"Kind":"payment.settle","Org":"PT01","B":2},"Both":{"Org":"PT01","Kind":"payment.settle","Last":1}}}`,
	} {
		in := core.Input{Body: prescription(), Kind: kind, Stamp: stamp}
		if kind == core.PaymentSettle {
			p := payment()
			p.PatientName, p.PatientNo = "张三测试", "P1"
			in.Body = p
		}
		q, err := f.Dialect.Operations[kind].Steps[0].Mapper.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		if q.Body != want {
			t.Errorf("%s:\n%v\nexpected\n%s", kind, q.Body, want)
		}
	}
	if len(f.Warnings) > 0 {
		t.Error(f.Warnings)
	}
}

func TestFragmentMistakes(t *testing.T) {
	const good = "prescription.create:\n  call: POST /a\n  send: {$use: patient, L: {$use: names}}\n  repeat_safe: true\n"
	for name, c := range map[string]struct{ old, new, operations, want string }{
		"unknown":           {"", "", strings.Replace(good, "$use: patient", "$use: patent", 1), `prescription.yaml:3:16: there is no fragment "patent"; they are written as fragments: in hospital.yaml; did you mean "patient"?`},
		"uses itself":       {"Head: {$use: head}", "Head: {$use: patient}", good, `hospital.yaml:9:18: the fragment "patient" uses itself; write it out here`},
		"no such field":     {"this.patient_name", "this.patientname", good, `hospital.yaml:10:18: prescription has no field "patientname"; did you mean "patient_name"?`},
		"money":             {"this.patient_name", "this.amount", good, `hospital.yaml:10:13: this.amount is money; write yuan(this.amount) or fen(this.amount)`},
		"beside a list":     {"", "", strings.Replace(good, "{$use: names}", "{$use: names, b: 1}", 1), "the fragment is no map, so nothing can stand beside it; give $use a map of its own"},
		"nothing uses it":   {"", "", "prescription.create:\n  call: POST /a\n  send: {L: {$use: names}}\n  repeat_safe: true\n", `hospital.yaml:8:3: nothing uses the fragment "patient"; write {$use: patient} where it belongs`},
		"one of several":    {"", "", strings.Replace(good, "$use: patient", "$use: [head, patent]", 1), `prescription.yaml:3:23: there is no fragment "patent"; they are written as fragments: in hospital.yaml; did you mean "patient"?`},
		"a list in a list":  {"", "", strings.Replace(good, "$use: patient", "$use: [head, names]", 1), `prescription.yaml:3:23: the fragment "names" is no map, so nothing can stand beside it; give it a $use of its own, in a map of its own`},
		"none of several":   {"", "", strings.Replace(good, "$use: patient", "$use: []", 1), `the list names no fragment; name fragments: $use: [first, second]`},
		"twice":             {"", "", strings.Replace(good, "$use: patient", "$use: patient, $use: head", 1), `write one with a list: $use: [first, second]`},
		"a let of its name": {"", "", strings.Replace(good, "  send:", "  let: {this: 1}\n  send:", 1), `"this" is a word of the expression language`},
	} {
		t.Run(name, func(t *testing.T) {
			files := fragmentFolder(c.operations)
			files["hospital.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(fragmented, c.old, c.new, 1))}
			f, err := Load(files, Options{Env: environment, Open: open, OpenChannel: openChannel})
			if err == nil {
				err = Mistakes(f.Warnings)
			}
			got := err.Error()
			if !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nexpected\n%s", got, c.want)
			}
		})
	}
}

// Fragments that use others twice and twice again would be more than fits anywhere.
func TestFragmentsThatGrow(t *testing.T) {
	var grown strings.Builder
	for i := range 40 {
		fmt.Fprintf(&grown, "  n%d: [{$use: n%d}, {$use: n%d}]\n", i+1, i, i)
	}
	files := fragmentFolder("prescription.create:\n  call: POST /a\n  send: {$use: patient, L: {$use: names}, M: {$use: n40}}\n  repeat_safe: true\n")
	files["hospital.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(fragmented, "envelopes:\n", "  n0: {A: 1}\n"+grown.String()+"envelopes:\n", 1))}
	_, err := Load(files, Options{Env: environment, Open: open, OpenChannel: openChannel})
	if err == nil || !strings.Contains(err.Error(), "the fragments make more than 200000 cells of this folder; write them flatter") {
		t.Errorf("got %.300v", err)
	}
}
