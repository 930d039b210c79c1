package api

import "testing"

// A key for no hospital is no key for all of them.
func TestScope(t *testing.T) {
	for _, c := range []struct {
		caller Caller
		sees   bool
	}{
		{Caller{Grants: []Grant{{Operator, nil}}}, true},
		{Caller{Grants: []Grant{{Operator, []string{}}}}, false},
		{Caller{Grants: []Grant{{Operator, []string{"xihu"}}}}, false},
		{Caller{Grants: []Grant{{Submitter, []string{"dongshan"}}}}, true},
		{Caller{Grants: []Grant{{Admin, []string{}}}}, true},
	} {
		if got := c.caller.Sees("dongshan"); got != c.sees {
			t.Errorf("%+v sees: %v", c.caller, got)
		}
	}
}
