package rx

import (
	"testing"

	"hishub/platform/clinic/clinictest"
)

// TestStatesAreInTheDocs: the table of states in docs/clinic.md is that of the code.
func TestStatesAreInTheDocs(t *testing.T) {
	clinictest.InDocs(t, "rx", clinictest.Table("prescription", States, Draft, InReview, Rejected, Approved, Paid, SentHIS, Dispensed, Returned, Void, Expired))
}
