package postgres

import (
	"testing"

	"hishub/core"
)

func TestBecauseOf(t *testing.T) {
	for _, c := range []struct {
		reason  string
		forgave []string
		codes   []core.CodeUse
		want    string
	}{
		{"", nil, nil, ""},
		{"no outcome rule holds", nil, nil, "no outcome rule holds"},
		{"", []string{"from_json: 1:2: a comma is missing"}, nil, "forgiven: from_json: 1:2: a comma is missing"},
		{"no outcome rule holds", []string{"a", "b"}, nil, "no outcome rule holds; forgiven: a; b"},
		{"", nil, []core.CodeUse{{Table: "icd", Code: "J00", Defaulted: true}, {Table: "icd", Code: "J01"}}, `code table icd: default used for "J00"`},
		{"busy", []string{"a"}, []core.CodeUse{{Table: "icd", Code: "J00", Defaulted: true}}, `busy; forgiven: a; code table icd: default used for "J00"`},
	} {
		if got := becauseOf(c.reason, c.forgave, c.codes); got != c.want {
			t.Errorf("%q", got)
		}
	}
}
