package api

import "testing"

// A key for no hospital is no key for all of them.
func TestScope(t *testing.T) {
	for _, c := range []struct {
		caller Caller
		sees   bool
	}{
		{Caller{Role: Operator, Hospitals: nil}, true},
		{Caller{Role: Operator, Hospitals: []string{}}, false},
		{Caller{Role: Operator, Hospitals: []string{"xihu"}}, false},
		{Caller{Role: Submitter, Hospitals: []string{"dongshan"}}, true},
		{Caller{Role: Admin, Hospitals: []string{}}, true},
	} {
		if got := c.caller.Sees("dongshan"); got != c.sees {
			t.Errorf("%+v sees: %v", c.caller, got)
		}
	}
}
