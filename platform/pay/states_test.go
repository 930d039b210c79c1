package pay

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/clinic.md")

// TestStatesAreInTheDocs: the tables of states in docs/clinic.md are those of the code.
func TestStatesAreInTheDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString("| attempt to pay | may become |\n|---|---|\n")
	for _, from := range []State{Created, Sent, Undecided, Succeeded, Failed, Closed, Stray, Review} {
		b.WriteString("| `" + string(from) + "` |" + listed(States[from]) + " |\n")
	}
	b.WriteString("\n| refund | may become |\n|---|---|\n")
	for _, from := range []RefundState{Requested, Declined, Approved, GivingBack, Undefined, Arrived, NotReturned, Dropped} {
		b.WriteString("| `" + string(from) + "` |" + listed(RefundStates[from]) + " |\n")
	}
	const begin, end = "<!-- pay states -->\n", "<!-- /pay states -->"
	path := filepath.Join("..", "..", "docs", "clinic.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	was, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("docs/clinic.md has no place for the tables")
	}
	if was != b.String() {
		if !*update {
			t.Fatal("the tables differ from the code; write them with: go test ./platform/pay -run TestStatesAreInTheDocs -update")
		}
		if err := os.WriteFile(path, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func listed[S ~string](states []S) string {
	var b strings.Builder
	for i, s := range states {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(" `" + string(s) + "`")
	}
	if len(states) == 0 {
		return " nothing"
	}
	return b.String()
}
