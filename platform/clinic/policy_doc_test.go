package clinic

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/clinic.md")

// TestPolicyIsInTheDocs: the table of roles and rights in docs/clinic.md is that of the code.
func TestPolicyIsInTheDocs(t *testing.T) {
	const begin, end = "<!-- rights -->\n", "<!-- /rights -->"
	path := filepath.Join("..", "..", "docs", "clinic.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	was, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("docs/clinic.md has no place for the table")
	}
	if is := rightsTable(); was != is {
		if !*update {
			t.Fatal("the table differs from the policy; write it with: go test ./platform/clinic -run TestPolicyIsInTheDocs -update")
		}
		if err := os.WriteFile(path, []byte(before+begin+is+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rightsTable has a row for each right, a column for each role.
func rightsTable() string {
	var rights []Right
	for _, role := range Roles {
		for _, r := range policy[role] {
			if !slices.Contains(rights, r) {
				rights = append(rights, r)
			}
		}
	}
	var b strings.Builder
	b.WriteString("| right |")
	for _, role := range Roles {
		b.WriteString(" " + strings.ReplaceAll(string(role), "_", " ") + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(Roles)) + "\n")
	for _, r := range rights {
		b.WriteString("| `" + string(r) + "` |")
		for _, role := range Roles {
			if slices.Contains(policy[role], r) {
				b.WriteString(" ✓ |")
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
