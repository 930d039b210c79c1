package torture

import "testing"

// outside is a time line in which what is around the hubs fails or changes: networks,
// clocks, hospitals, clients, people.
type outside struct {
	name string
	// short ones are played in make test, all of them in make torture.
	short bool
	play  func(*testing.T)
}

var outsides = []outside{
	{"network", true, playNetwork},
	{"clock", false, playClock},
	{"promises", true, playPromises},
	{"his", false, playHIS},
	{"submits", false, playSubmits},
	{"turning", false, playTurning},
}

func TestTortureOutside(t *testing.T) {
	if !isFull() {
		t.Parallel()
	}
	for _, o := range outsides {
		if !o.short && !isFull() {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			o.play(t)
		})
	}
}
