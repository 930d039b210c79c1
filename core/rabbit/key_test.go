package rabbit

import (
	"testing"

	"hishub/core"
)

func TestKeyOfAnEvent(t *testing.T) {
	for hospital, want := range map[string]string{"dongshan": "dongshan.incident.opened", "": "hub.incident.opened"} {
		e := &core.Event{Hospital: hospital, Type: core.EventIncidentOpened}
		if out, err := write(e, e); err != nil || out.key != want {
			t.Errorf("%q goes as %s: %v", hospital, out.key, err)
		}
	}
}
