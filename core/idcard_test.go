package core

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseIDCard(t *testing.T) {
	for _, c := range []struct {
		no, born string
		sex      Sex
	}{
		{"11010519491231002X", "1949-12-31", "female"}, // the standard's own examples
		{"11010519491231002x", "1949-12-31", "female"},
		{"440524188001010014", "", ""}, // of the standard, but born in 1880
		{"110105194912310021", "", ""}, // its check digit
		{"11010519491331002X", "", ""},
		{"110105491231002", "", ""},
		{"1101051949123100２X", "", ""},
		{"", "", ""},
	} {
		born, sex, err := ParseIDCard(c.no)
		if born != c.born || sex != c.sex || (err == nil) != (c.born != "") {
			t.Errorf("%s: %s, %s, %v", c.no, born, sex, err)
		}
	}
}

// Of all check characters one fits; every digit that is mistyped, and every two
// neighbours that are swapped, is found.
func TestParseIDCardFindsSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		born := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 45_000).Draw(t, "born"))
		head := fmt.Sprintf("%06d%s%03d", rapid.IntRange(110000, 659999).Draw(t, "place"), born.Format("20060102"), rapid.IntRange(0, 999).Draw(t, "no"))
		var good string
		n := 0
		for _, last := range "0123456789X" {
			if birth, _, err := ParseIDCard(head + string(last)); err == nil {
				good, n = head+string(last), n+1
				if birth != born.Format(time.DateOnly) {
					t.Fatalf("born %v, read %v", born, birth)
				}
			}
		}
		if n != 1 {
			t.Fatalf("%d check characters fit", n)
		}
		at := rapid.IntRange(0, 16).Draw(t, "at")
		slip := []byte(good)
		slip[at] = '0' + (slip[at]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "slip")))%10
		if _, _, err := ParseIDCard(string(slip)); err == nil {
			t.Fatal("a wrong digit was not found")
		}
		swapped := []byte(good)
		swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
		if _, _, err := ParseIDCard(string(swapped)); err == nil && string(swapped) != good {
			t.Fatal("two swapped digits were not found")
		}
	})
}

func FuzzParseIDCard(f *testing.F) {
	for _, seed := range []string{"110101199003070097", "", "11010119900307009X", "000000000000000000", "张三测试测试"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		born, sex, err := ParseIDCard(text)
		if _, wrong := time.Parse(time.DateOnly, born); err == nil && (len(text) != 18 || wrong != nil || sex == "") {
			t.Errorf("%q is born %v", text, born)
		}
	})
}

func TestMask(t *testing.T) {
	for _, c := range []struct{ kind, value, want string }{
		{"number", "13800138000", "138****8000"}, {"number", "11010519491231002X", "110105********002X"}, {"number", "E1234567", "******67"}, {"number", "7", "*"}, {"number", "", ""},
		{"name", "张三丰", "张**"}, {"name", "", ""}, {"date", "1990-01-02", "1990-**-**"}, {"date", "90", "90"},
	} {
		if got := MaskPersonal(c.kind, c.value); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.kind, c.value, got, c.want)
		}
	}
}
