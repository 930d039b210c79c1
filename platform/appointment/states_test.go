package appointment

import (
	"testing"

	"hishub/platform/clinic/clinictest"
)

// TestStatesAreInTheDocs: the tables of states in docs/clinic.md are those of the code.
func TestStatesAreInTheDocs(t *testing.T) {
	clinictest.InDocs(t, "appointment",
		clinictest.Table("appointment", States, Requested, Held, Paying, Confirmed, CheckedIn, Done, Rejected, Expired, Cancelled, Stopped, NoShow),
		clinictest.Table("ticket", TicketStates, Waiting, Locking, Granted, Refused),
	)
}
