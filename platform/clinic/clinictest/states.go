package clinictest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hishub/platform/clinic"
)

var update = flag.Bool("update", false, "write the tables of docs/clinic.md")

// Table writes a state machine as docs/clinic.md shows it: what each state may become, in
// the order of all.
func Table[S ~string](title string, states clinic.States[S], all ...S) string {
	var b strings.Builder
	b.WriteString("| " + title + " | may become |\n|---|---|\n")
	for _, from := range all {
		b.WriteString("| `" + string(from) + "` |" + listed(states[from]) + " |\n")
	}
	return b.String()
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

// InDocs holds a module's tables in docs/clinic.md against those of the code; the flag
// -update writes them.
func InDocs(t *testing.T, module string, tables ...string) {
	t.Helper()
	begin, end := "<!-- "+module+" states -->\n", "<!-- /"+module+" states -->"
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
	if is := strings.Join(tables, "\n"); was != is {
		if !*update {
			t.Fatalf("the tables differ from the code; write them with: go test ./platform/%s -run TestStatesAreInTheDocs -update", module)
		}
		if err := os.WriteFile(path, []byte(before+begin+is+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
