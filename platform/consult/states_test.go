package consult

import (
	"testing"

	"hishub/platform/clinic/clinictest"
)

// TestStatesAreInTheDocs: the table of states in docs/clinic.md is that of the code.
func TestStatesAreInTheDocs(t *testing.T) {
	clinictest.InDocs(t, "consult", clinictest.Table("consultation", States, Created, Waiting, Active, Ended, Archived, Refused, TimedOut, Cancelled))
}
