package postgres

import "testing"

// Whose eyes are the same: four-eyes decisions rest on it.
func TestSamePerson(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"alice (key 1)", "Alice  (key 2)", true},
		{"alice (key 1)", "bob (key 1)", false},
		{"王会计 (account 5)", "王会计 (account 6)", false},
		{"王会计 (account 5)", "王主任 (account 5)", true},
		{"王会计 (account 5)", "王会计 (key 3)", true},
		{"王会计 (account 5)", "李会计 (key 3)", false},
		{"alice", "alice (key 3)", true},
	} {
		if samePerson(c.a, c.b) != c.same || samePerson(c.b, c.a) != c.same {
			t.Errorf("%q and %q: want %v", c.a, c.b, c.same)
		}
	}
}
