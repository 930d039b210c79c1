package postgres

import "testing"

func TestBecauseOf(t *testing.T) {
	for _, c := range []struct {
		reason  string
		forgave []string
		want    string
	}{
		{"", nil, ""},
		{"no outcome rule holds", nil, "no outcome rule holds"},
		{"", []string{"from_json: 1:2: a comma is missing"}, "forgiven: from_json: 1:2: a comma is missing"},
		{"no outcome rule holds", []string{"a", "b"}, "no outcome rule holds; forgiven: a; b"},
	} {
		if got := becauseOf(c.reason, c.forgave); got != c.want {
			t.Errorf("%q", got)
		}
	}
}
