package fulfilment

import (
	"testing"

	"hishub/platform/clinic/clinictest"
)

// TestStatesAreInTheDocs: the table of states in docs/clinic.md is that of the code.
func TestStatesAreInTheDocs(t *testing.T) {
	clinictest.InDocs(t, "fulfilment", clinictest.Table("fulfilment", States, Ready, Preparing, PickedUp, Shipped, Arrived, Signed, Returned, AtWindow, Lapsed, Stopped))
}
