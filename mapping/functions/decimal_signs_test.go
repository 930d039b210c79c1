package functions

import (
	"strings"
	"testing"
)

// What some HIS put around an amount is refused with its cure.
func TestAmountsWithSignsAreRefusedWithTheCure(t *testing.T) {
	for text, cure := range map[string]bool{"+81.69": true, "1,024.00": true, "12元": false, "1.2.3": false} {
		_, err := decimalText(text)
		if err == nil || strings.Contains(err.Error(), "replace(") != cure || strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
