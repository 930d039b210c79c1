package pay

import (
	"testing"

	"hishub/platform/clinic/clinictest"
)

// TestStatesAreInTheDocs: the tables of states in docs/clinic.md are those of the code.
func TestStatesAreInTheDocs(t *testing.T) {
	clinictest.InDocs(t, "pay",
		clinictest.Table("attempt to pay", States, Created, Sent, Undecided, Succeeded, Failed, Closed, Stray, Review),
		clinictest.Table("refund", RefundStates, Requested, Declined, Approved, GivingBack, Undefined, Arrived, NotReturned, Dropped),
	)
}
