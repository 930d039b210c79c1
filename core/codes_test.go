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

// Its text says which way, and what to do; it is found by what Marks says, which holds
// of texts that were kept before, too.
func TestAnUnmappedCodeIsSaidAndFound(t *testing.T) {
	for want, e := range map[string]*UnmappedCode{
		`code table "frequency" has no row for our code "q9h" (what we say to the HIS); add one with it in column ours and apply the folder`:                                   {Table: "frequency", Direction: CodeOut, Code: "q9h"},
		`code table "frequency" has no row for the HIS's code "9" (what the HIS says to us); add one with it in column theirs and apply the folder`:                            {Table: "frequency", Direction: CodeIn, Code: "9"},
		`code table "frequency" has our code "q9h" (what we say to the HIS), but no row is valid on 2026-01-05; add one for that day and apply the folder`:                     {Table: "frequency", Direction: CodeOut, Code: "q9h", Day: "2026-01-05"},
		`code table "frequency" has no row for our code "a \"b\"" (what we say to the HIS); add one with it in column ours and apply the folder`:                               {Table: "frequency", Direction: CodeOut, Code: `a "b"`},
		`code table "frequency" has no row for the HIS's code that is a text of 3 characters (what the HIS says to us); add one with it in column theirs and apply the folder`: {Table: "frequency", Direction: CodeIn, Code: "测试甲"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("said %s\nwant %s", got, want)
		}
		table, code := Marks(e.Table, e.Code)
		if hidden := e.Code == "测试甲"; !strings.Contains(want, table) || strings.Contains(want, code) == hidden {
			t.Errorf("not found by %q and %q: %s", table, code, want)
		}
	}
	table, code := Marks("freq", "q9h")
	if before := `the message cannot be said: code table "freq" has no ours "q9h"`; !strings.Contains(before, table) || !strings.Contains(before, code) {
		t.Errorf("not found: %s", before)
	}
}
