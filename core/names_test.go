package core

import "testing"

func TestRepeatedName(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}`: "",
		`{"a":1,"a":1}`:                     "a",
		`{"a":1,"A":1}`:                     "A",
		`{"a":1,"\u0061":1}`:                "a",
		`{"x":{"y":[0,{"z":1,"z":2}]}}`:     "x.y[1].z",
		`[[{"a":1}],{"a":[],"b":{},"a":0}]`: "[1].a",
		`{"":1,"b":2}`:                      "",
		`{"a":"a","b":"a"}`:                 "",
		`{"a":1`:                            "",
		`"a"`:                               "",
		``:                                  "",
	} {
		if got := repeatedName([]byte(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzRepeatedName(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":1}`, `{"":{"":[]}}`, `[{}]`, `{"a":`, "{\"\\ud800\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { repeatedName(data) })
}
