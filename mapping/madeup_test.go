package mapping

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func plainMadeUp() *madeUp {
	return newMadeUp(func(s string) ([]byte, bool) {
		b, err := gbText{}.Encode(nil, s)
		return b, err == nil
	})
}

// gb11643 is the example of the standard itself.
const gb11643 = "11010519491231002X"

func TestMadeUpPeople(t *testing.T) {
	m := plainMadeUp()
	m.add("birth_date", "date", "1986-07-21")
	for _, c := range []struct{ kind, real, want string }{
		{"name", "李四", "测甲"},
		{"name", "王小五", "测试乙"},
		{"name", "阿卜·热合曼", "测试·者测丙"},
		{"name", "𠮷田", "𠮷丁"},
		{"name", "Anna Li", ""},
		{"number", gb11643, ""},
		{"number", "13800138000", "19900000002"},
		{"number", "E12345678", "X00000003"},
		{"text", "测试路12号A座", "测试内00试X容"},
	} {
		made := m.add("f", c.kind, c.real)
		if c.want != "" && made != c.want || made == c.real {
			t.Errorf("%s %s: %s, want %s", c.kind, c.real, made, c.want)
		}
		if utf8.RuneCountInString(made) != utf8.RuneCountInString(c.real) {
			t.Errorf("%s becomes %s, of another length", c.real, made)
		}
		if again := m.add("g", c.kind, c.real); again != made {
			t.Errorf("%s is %s once and %s later", c.real, made, again)
		}
	}
	if made := m.values[gb11643]; !isIdentity(made) || !strings.HasPrefix(made, "99999919490101") {
		t.Errorf("%s is no identity number of that year", made)
	}
	if m.values["1986-07-21"] != "1986-01-01" {
		t.Error("the year of birth is not kept")
	}
}

// Whatever the people, no spelling of them is left and nothing else changes.
func TestMadeUpEverywhere(t *testing.T) {
	name := rapid.StringOfN(rapid.RuneFrom([]rune("赵钱孙李周吴郑王冯陈褚卫𠮷䶮·")), 2, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		m := plainMadeUp()
		var people []string
		for range rapid.IntRange(1, 5).Draw(t, "people") {
			person := name.Draw(t, "name")
			if strings.Trim(person, "·") == "" {
				continue
			}
			people = append(people, person)
			m.add("name", "name", person)
		}
		var text strings.Builder
		for _, person := range people {
			for _, s := range m.spellings("name", person) {
				text.WriteString("<a>" + s + "</a>")
			}
		}
		out := m.replacer().Replace(text.String())
		for _, person := range people {
			for _, s := range m.spellings("name", person) {
				if m.values[person] != person && len(s) > 3 && strings.Contains(out, "<a>"+s+"</a>") && !m.isMadeUp(person) {
					t.Fatalf("%q is left of %q in %q", s, person, out)
				}
			}
		}
		if strings.Count(out, "<a>") != strings.Count(text.String(), "<a>") {
			t.Fatalf("the text around changed: %q", out)
		}
	})
}

func TestShapesOfNumbers(t *testing.T) {
	m := plainMadeUp()
	m.keep["13900000001"] = true // an order's number that looks like a telephone's
	m.shapes("<id>110105194912310021</id><id>" + gb11643 + "</id> 13800138000 13900000001 138001380001 999")
	if len(m.order) != 2 || m.values[gb11643] == "" || m.values["13800138000"] == "" {
		t.Errorf("found %q", m.order)
	}
}

func FuzzMadeUp(f *testing.F) {
	f.Add("name", "张三", "<n>张三</n>")
	f.Add("number", "110101198607210018", `{"id":"110101198607210018"}`)
	f.Add("date", "1986-07-21", "1986年7月21日")
	f.Fuzz(func(t *testing.T, kind, value, text string) {
		m := plainMadeUp()
		if made := m.add("f", kind, value); utf8.ValidString(value) && kind != "session" && utf8.RuneCountInString(made) != utf8.RuneCountInString(value) {
			t.Errorf("%q becomes %q", value, made)
		}
		m.shapes(text)
		m.replacer().Replace(text)
	})
}
