package mapping

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// Deep nesting must not exhaust the stack: that cannot be recovered from.
func TestDeepNesting(t *testing.T) {
	for name, text := range map[string]string{
		"lists in brackets": strings.Repeat("[", maxFile/2), "maps in brackets": strings.Repeat("{a: ", maxFile/8), "lists of lists": strings.Repeat("- ", maxFile/4),
		"closed brackets": strings.Repeat("[", maxFile/4) + strings.Repeat("]", maxFile/4), "maps": strings.Repeat("a: ", maxFile/8), "keys": strings.Repeat("? ", maxFile/8),
		"expression": "payment.settle: {call: '= " + strings.Repeat("(", maxFile/4) + "'}", "not": "payment.settle: {call: '= " + strings.Repeat("not ", maxFile/8) + "'}",
		"steps": func() string {
			var b strings.Builder
			for i := range 600 {
				b.WriteString(strings.Repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			files := folder(t, "dongshan")
			files["x.yaml"] = &fstest.MapFile{Data: []byte(text)}
			mustNotPanic(t, files)
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}
