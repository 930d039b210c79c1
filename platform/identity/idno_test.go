package identity

import (
	"testing"
	"time"
)

func TestCheckIDNo(t *testing.T) {
	today := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for no, want := range map[string]bool{"110101199003070097": true, "11010519491231002x": true, "110101199003070098": false, "": false, "110101299003070093": false} {
		if err := checkIDNo(no, today); (err == nil) != want {
			t.Errorf("%s: %v", no, err)
		}
	}
}

func TestMaskAddress(t *testing.T) {
	for in, want := range map[string]string{"203.0.113.7": "203.0.*.*", "[2001:db8:1:2::3]": "2001:db8:*", "::1": "::*", "": "", "nonsense": ""} {
		if got := maskAddress(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
