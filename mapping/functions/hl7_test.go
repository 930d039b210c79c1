package functions_test

import (
	"strings"
	"testing"

	"hishub/core"
)

func TestHL7(t *testing.T) {
	message := tree("MSA", tree("1", "AA", "2", "K1"),
		"PID", tree("3", core.List{tree("1", "0001", "5", "PN"), "0002"}, "5", "张三测试", "7", tree("1", tree("1", "a", "2", "b"))),
		"OBX", core.List{tree("5", "x"), nil, tree("5", "y")})
	for path, want := range map[string]any{
		"MSA-2": "K1", "MSA.2": "K1", "MSA-9": nil, "ZZZ-1": nil, "PID-5": "张三测试", "PID-5.1": "张三测试", "PID-5.2": nil, "PID-5.1.1": "张三测试",
		"PID-3(1).5": "PN", "PID-3(2).1": "0002", "PID-3(2).5": nil, "PID-3(3).1": nil, "PID-7.1.2": "b", "PID-7.2": nil,
		"OBX(3)-5": "y", "OBX(2)-5": nil, "OBX(4)-5.1": nil,
	} {
		if got := call(t, "hl7", message, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if got := call(t, "hl7", message.Get("MSA"), "2.1"); got != "K1" {
		t.Errorf("of a segment: %v", got)
	}
	if got, ok := call(t, "hl7", message, "PID-3").(core.List); !ok || len(got) != 2 {
		t.Errorf("all repetitions: %v", got)
	}
	if got := call(t, "hl7", nil, "PID-3"); got != nil {
		t.Errorf("of nil: %v", got)
	}
	for path, says := range map[string]string{
		"PID-3.1": "field 3 occurs 2 times; write field 3(1)", "OBX-5": "OBX occurs 3 times; write OBX(1)",
		"PID": "names a part as", "PID-0": "names a part as", "pid-3": "names a part as", "PID-3.1.1.1": "names a part as", "": "names a part as",
	} {
		if _, err := all["hl7"].Call(message, path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v does not say %q", path, err, says)
		}
	}
}

func TestCharsets(t *testing.T) {
	for cell, want := range map[string]any{
		`hex(encode(text(answer.it), "Big5"))`: "b4fab8d5", `from_encode(encode(text(answer.it), "UTF-16LE"), "UTF-16LE")`: "測試",
		`url(answer.it)`: "%E6%B8%AC%E8%A9%A6", `from_url("%B2%E2+%CA%D4", "GB18030")`: "测 试", `from_url(url(answer.it, "Big5"), "big5")`: "測試",
	} {
		if got := run(t, cell, "測試"); got != want {
			t.Errorf("%s = %v, want %v", cell, got, want)
		}
	}
	for name, args := range map[string][]any{"encode": {"䶮", "Big5"}, "from_encode": {[]byte{0xff, 0xff}, "Big5"}, "from_url": {"%B2%E2"}, "url": {"a", "klingon"}} {
		if _, err := all[name].Call(args...); err == nil {
			t.Errorf("%s takes what it cannot read or write", name)
		}
	}
}
