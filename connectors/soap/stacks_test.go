package soap

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

// recipe is a prescription as three stacks took it, out of order on purpose.
func recipe(lines ...core.Value) tree {
	return tree{f("oper", "net07"), f("rx", tree{
		f("scan", "UERG"), f("tag", list("a", "b")), f("total", "46.19"), f("urgent", core.Token("false")), f("written", "2026-01-05T14:56:01+08:00"),
		f("patient", tree{f("birth", "1990-01-01"), f("sex", "M"), f("name", "张三测试"), f("patientNo", "P1")}), f("no", "RX1"),
		f("lines", tree{f("line", list(lines...))}),
	})}
}

func recipeLine(no, code string, note core.Value, more ...core.Field) core.Value {
	return append(tree{f(".no", no), f("note", note), f("price", "1.7917"), f("dose", tree{f(".unit", "g"), f(core.TextName, "0.50")}), f("code", code)}, more...)
}

// recipes are the calls of that prescription.
func recipes() []call {
	both := recipe(recipeLine("1", "A", nil), recipeLine("9", "H", "]]> & <", f(".xsi:type", "Herbal"), f("days", "7")))
	return []call{
		{"recipe.php-8.2.36.xml", "recipe", "recipe.wsdl", nil, "SaveRecipe", both},
		{"recipe-1.2.php-8.2.36.xml", "recipe", "recipe.wsdl", map[string]any{"version": "1.2"}, "SaveRecipe", both},
		{"recipe.node-soap-1.13.0.xml", "recipe", "recipe.wsdl", nil, "SaveRecipe", recipe(recipeLine("1", "A", "n"), recipeLine("2", "B", "n"))},
		{"recipe-encoded.php-8.2.36.xml", "recipe", "encoded.wsdl", nil, "SaveRecipe", tree{f("oper", "net07"), f("rx", tree{
			f("lines", tree{f("item", list(
				tree{f("note", nil), f("price", "1.5"), f("code", "A")},
				tree{f(".xsi:type", "Herbal"), f("days", "7"), f("note", "x"), f("price", "1.5"), f("code", "H")},
			))}), f("total", "46.19"), f("urgent", core.Token("true")), f("written", "2026-01-05T14:56:01+08:00"), f("sex", "M"), f("name", "张三测试"), f("no", "RX1"),
		})}},
		{"recipe-of-spyne.php-8.2.36.xml", "recipe", "spyne.wsdl", nil, "SaveRecipe", tree{f("oper", "net07"), f("rx", tree{
			f("no", "RX1"), f("patient", tree{f("id", "P1"), f("name", "张三测试"), f("sex", "M"), f("birth", "1990-01-01")}), f("written", "2026-01-05T14:56:01+08:00"), f("urgent", "false"), f("total", "46.19"),
			f("lines", tree{f("Line", list(
				tree{f(".no", "1"), f("code", "A"), f("name", "x"), f("dose", tree{f(".unit", "g"), f("value", "0.50")}), f("price", "1.7917"), f("note", nil)},
				tree{f(".no", "2"), f("code", "B"), f("note", "n")},
			))}), f("tags", list("a", "b")), f("scan", "UERG"),
		})}},
	}
}

func TestAnswersOfOtherStacks(t *testing.T) {
	taken := tree{f("result", tree{f("code", "0"), f("hisNo", "HRX1"), f("amount", "46.19"), f("at", "2026-01-05T14:56:01+08:00"), f("lineNo", list("1", "9"))})}
	why := tree{f("code", "E205"), f("words", "已停诊")}
	refused := func(code string, detail core.Field) tree {
		return tree{f("faultcode", code), f("faultstring", "拒绝"), f("detail", tree{detail})}
	}
	spyne := tree{f("SaveRecipeResult", tree{f("code", "0"), f("his_no", "HRX1"), f("amount", "46.19"), f("at", "2026-01-05T14:56:01+08:00"), f("ok", "true"), f("lines", tree{f("Line", list(
		tree{f(".no", "1"), f("code", "A"), f("name", "x"), f("dose", tree{f(".unit", "g"), f("value", "0.50")}), f("price", "1.7917"), f("note", nil)},
		tree{f(".no", "2"), f("code", "B"), f("note", "n")},
	))})})}
	for answer, x := range map[string]struct {
		wsdl, version string
		want          core.Value
	}{
		"taken.php-8.2.36.xml":           {"recipe.wsdl", "1.1", taken},
		"taken-1.2.php-8.2.36.xml":       {"recipe.wsdl", "1.2", taken},
		"refused.php-8.2.36.xml":         {"recipe.wsdl", "1.1", refused("SOAP-ENV:Client", f("Refused", why))},
		"refused-1.2.php-8.2.36.xml":     {"recipe.wsdl", "1.2", refused("env:Sender", f("Refused", why))},
		"refused-encoded.php-8.2.36.xml": {"encoded.wsdl", "1.1", refused("SOAP-ENV:Client", f("reason", why))},
		"taken-encoded.php-8.2.36.xml": {"encoded.wsdl", "1.1", tree{f("result", tree{f(".type", "ns1:Result"), f("code", "0"), f("hisNo", nil), f("amount", "46.19"), f("lines", tree{f(".type", "ns1:ArrayOfLine"), f("item", list(
			tree{f(".type", "ns1:Line"), f("code", "A"), f("price", "1.5"), f("note", nil)}, tree{f(".type", "ns1:Line"), f("code", "H"), f("price", "1.5"), f("note", "x")}))})})}},
		"taken.spyne-2.14.0.xml":       {"spyne.wsdl", "1.1", spyne},
		"taken-1.2.spyne-2.14.0.xml":   {"spyne12.wsdl", "1.2", spyne},
		"refused.spyne-2.14.0.xml":     {"spyne.wsdl", "1.1", tree{f("faultcode", "soap11env:Client.Refused"), f("faultstring", "拒绝"), f("faultactor", nil), f("detail", tree{f("reason", why)})}},
		"refused-1.2.spyne-2.14.0.xml": {"spyne12.wsdl", "1.2", tree{f("faultcode", "soap12env:Sender"), f("faultstring", "拒绝"), f("subcode", "Refused"), f("detail", tree{f("reason", why)})}},
		"taken.node-soap-1.13.0.xml":   {"recipe.wsdl", "1.1", tree{f("result", tree{f("code", "0"), f("hisNo", "HRX1"), f("amount", "46.19"), f("at", "2026-01-05T06:56:01.000Z"), f("lineNo", list("1", "9"))})}},
		"refused.node-soap-1.13.0.xml": {"recipe.wsdl", "1.1", append(refused("soap:Client", f("Refused", why)), f("Code", tree{f("Value", "soap:Sender")}), f("Reason", tree{f("Text", "拒绝")}))},
	} {
		t.Run(answer, func(t *testing.T) {
			body, err := os.ReadFile("testdata/recipe/" + answer)
			if err != nil {
				t.Fatal(err)
			}
			c := from(t, "recipe", x.wsdl, map[string]any{"version": x.version})
			r, err := c.(core.Offline).Read(core.Request{Operation: "SaveRecipe"}, body)
			if err != nil {
				t.Fatal(err)
			}
			wanted := ""
			if x.want.(tree).Has("faultcode") {
				wanted = "fault"
			}
			if diff := cmp.Diff(x.want, r.Body); diff != "" || r.Error != wanted {
				t.Errorf("error %q\n%s", r.Error, diff)
			}
		})
	}
}

// A derived type that stands among the items of an array is described, too: the
// children that all of them have.
func TestTypesThatOthersAreMadeFromAreDescribed(t *testing.T) {
	for wsdl, path := range map[string][]string{"recipe.wsdl": {"rx", "lines", "line"}, "encoded.wsdl": {"rx", "lines", "item"}, "spyne.wsdl": {"rx", "lines", "Line"}} {
		shape, err := from(t, "recipe", wsdl, nil).(core.Describer).Describe("SaveRecipe")
		if err != nil {
			t.Fatal(err)
		}
		at := shape.Parameters
		for _, name := range path {
			var next []core.Parameter
			for _, p := range at {
				if p.Name == name {
					next = p.Children
				}
			}
			at = next
		}
		if len(at) < 3 || at[0].Name != "code" {
			t.Errorf("%s: the lines are described as %v", wsdl, at)
		}
	}
}
