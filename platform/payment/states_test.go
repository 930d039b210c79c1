package payment

import "testing"

// What no payment and no refund may ever do, whatever the tables become.
func TestStatesForbid(t *testing.T) {
	for _, move := range [][2]State{
		{Told, Stuck}, {Told, GoBack}, {Told, Telling}, // what the HIS has, it has
		{Refunded, Told}, {Refunded, Stuck}, {Refunded, GoBack}, // the money is back
		{GoBack, Told}, {GoBack, Stuck}, // refused for good
	} {
		if _, err := States.Move(move[0], move[1]); err == nil {
			t.Errorf("a payment from %s to %s", move[0], move[1])
		}
	}
	for _, move := range [][2]State{{Told, Stuck}, {Untold, Told}, {Untold, Stuck}, {Telling, GoBack}, {Telling, Refunded}, {Stuck, GoBack}} {
		if _, err := RefundStates.Move(move[0], move[1]); err == nil {
			t.Errorf("a refund from %s to %s", move[0], move[1])
		}
	}
}
