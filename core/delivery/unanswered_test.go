package delivery

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"hishub/core"
)

type noHospitals struct{}

func (noHospitals) Hospital(context.Context, string, int) (*core.Hospital, error) {
	return nil, errors.New("a variable is not set")
}

// A claim that took over from a dead process must not lose what is known about
// it when the hospital cannot be opened: it was sent, and nobody read the answer.
func TestAnInterruptedOneStaysSo(t *testing.T) {
	k := newDesk(&Dispatcher{Hospitals: noHospitals{}, Policy: still, Log: slog.New(slog.DiscardHandler), Lease: time.Minute}, "h")
	d := payment()
	d.Interrupted = true
	_, n, err := k.exchange(t.Context(), d, time.Now(), func() time.Time { return t0 })
	if err != nil || n.State != Queued || !n.Unanswered || !n.LastByte.Equal(t0) {
		t.Fatalf("%+v, %v", n, err)
	}
	next := payment()
	next.Progress = n.Progress
	if instead, ok := still.Before(next, operation(1, "inquire"), t0); ok || instead.Phase != Inquire {
		t.Errorf("the next claim sends again: %+v", instead)
	}
	if instead, ok := still.Before(next, operation(1), t0); ok || instead.State != Parked || instead.Class != core.InDoubt {
		t.Errorf("the next claim sends again: %+v", instead)
	}
	// One that nothing was sent of is only put off.
	if _, n, _ := k.exchange(t.Context(), payment(), time.Now(), func() time.Time { return t0 }); n.Unanswered || !n.LastByte.IsZero() {
		t.Errorf("%+v", n)
	}
}
