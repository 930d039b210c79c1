package core

import "testing"

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
	// Each digit that is mistyped is found.
	const right = "11010519491231002X"
	for i := range 17 {
		for d := byte('0'); d <= '9'; d++ {
			wrong := right[:i] + string(d) + right[i+1:]
			if _, _, err := ParseIDCard(wrong); (err == nil) != (wrong == right) {
				t.Errorf("%s: %v", wrong, err)
			}
		}
	}
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
