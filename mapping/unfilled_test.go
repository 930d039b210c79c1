package mapping_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"hishub/mapping"
)

// A place that a draft left open is one mistake, whatever it is part of: a cell, a
// rule, a list, a row of a code table. In quotes the word is text.
func TestWhatIsNotFilledInYetIsSaidOnce(t *testing.T) {
	folder := fstest.MapFS{
		"hospital.yaml": {Data: []byte("grammar: 1\nhospital: x\nname: X\nconstants: {operator: TODO}\nconnectors: {default: {rest: {base: \"http://127.0.0.1\"}}}\nenvelopes: {default: {outcome: {ok: TODO}}}\n")},
		"refund.yaml": {Data: []byte(`refund.create:
  call: POST /refund
  send: {a: TODO, b: "TODO", c: '= code("pay", refund.channel)', d: = const.operator}
  inquire: refund.status
refund.status:
  call: POST /status
  returns: {state: TODO, amount: TODO}
bill.unpaid:
  call: POST /unpaid
  returns: {bills: TODO}
`)},
		"codes/pay.csv": {Data: []byte("ours,theirs\nwechat,W\nalipay,\nunionpay,U\ninsurance,I\nbank,B\ncash,C\n")},
	}
	_, err := mapping.Load(folder, mapping.Options{})
	var mistakes mapping.Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatal(err)
	}
	want := []string{"hospital.yaml:4", "hospital.yaml:6", "codes/pay.csv:3", "refund.yaml:3", "refund.yaml:7", "refund.yaml:7", "refund.yaml:10"}
	if len(mistakes) != len(want) {
		t.Errorf("%d mistakes, want %d:\n%v", len(mistakes), len(want), mistakes)
	}
	for _, m := range mistakes {
		if !m.Unfilled() {
			t.Errorf("%s", m)
		}
	}
}
