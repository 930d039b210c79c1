package identity

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var today = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// Every number with one digit changed, and every two neighbours that are swapped, is none.
func TestCheckIDNoFindsSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		born := time.Date(1900, 1, 1, 0, 0, 0, 0, licenceZone).AddDate(0, 0, rapid.IntRange(0, 45_000).Draw(t, "born"))
		head := fmt.Sprintf("%06d%s%03d", rapid.IntRange(110000, 659999).Draw(t, "place"), born.Format("20060102"), rapid.IntRange(0, 999).Draw(t, "no"))
		var good string
		n := 0
		for _, last := range "0123456789X" {
			if birth, _, err := CheckIDNo(head+string(last), today); err == nil {
				good, n = head+string(last), n+1
				if !birth.Equal(born) {
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
		if _, _, err := CheckIDNo(string(slip), today); err == nil {
			t.Fatal("a wrong digit was not found")
		}
		swapped := []byte(good)
		swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
		if _, _, err := CheckIDNo(string(swapped), today); err == nil && string(swapped) != good {
			t.Fatal("two swapped digits were not found")
		}
	})
}

func FuzzCheckIDNo(f *testing.F) {
	for _, seed := range []string{"110101199003070097", "", "11010119900307009X", "000000000000000000", "张三测试测试"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		birth, sex, err := CheckIDNo(text, today)
		if err == nil && (len(text) != 18 || birth.After(today) || sex == "") {
			t.Errorf("%q is born %v", text, birth)
		}
	})
}

func TestMasks(t *testing.T) {
	for in, want := range map[string]string{"13800000001": "138****0001", "110101199003070097": "110101********0097", "12345": "***45", "1": "*", "": ""} {
		if got := maskNumber(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	for in, want := range map[string]string{"203.0.113.7": "203.0.*.*", "[2001:db8:1:2::3]": "2001:db8:*", "::1": "::*", "": "", "nonsense": ""} {
		if got := maskAddress(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if maskName("张三测试") != "张***" || maskName("") != "" {
		t.Error("names")
	}
}
