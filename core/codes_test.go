package core

import (
	"strings"
	"testing"
)

// Where a code should be, a HIS may send a person.
func TestACodeThatIsSomebody(t *testing.T) {
	for code, kept := range map[string]bool{
		"WX": true, "上午": true, "J06.900": true, "门诊3号楼": true, "0102": true,
		"王小明330106199001011235": false, "13800138000": false, "330106199001011235": false, "330106199001 王": false, strings.Repeat("x", 41): false,
	} {
		e := &UnmappedCode{Table: "period", Direction: CodeIn, Code: code}
		if got := e.Use().Code == code; got != kept {
			t.Errorf("%q is kept: %t", code, got)
		}
		if got := AddCodes(nil, CodeUse{Table: "period", Direction: CodeIn, Code: code}); (got[0].Code == code) != kept {
			t.Errorf("%q is noted: %t", code, !kept)
		}
		if strings.ContainsAny(code, "王上门") && strings.Contains(e.Error(), code) {
			t.Errorf("the error shows %q", code)
		}
	}
	if e := (&UnmappedCode{Table: "sex", Direction: CodeOut, Code: "male"}); !strings.Contains(e.Error(), `"male"`) || e.Use().Code != "male" {
		t.Error(e)
	}
}
