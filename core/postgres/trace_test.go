package postgres

import (
	"fmt"
	"testing"
)

// Numbers are a hospital's own: another one may have a case of the same number, which
// is no part of this message's trace.
func TestATraceHoldsNoOtherHospitalsCases(t *testing.T) {
	l := newLedger(t)
	id := l.enqueue(payment("A1", "L1"))
	for _, hospital := range []string{"h2", "h1", "h3"} {
		l.exec(fmt.Sprintf(`insert into hub.case (hospital, day, type, number, class, amount, owner, night, finding)
			values ('%s', '2026-01-05', 'payment', 'A1', 'missing_his', 1, 'finance', 1, '{}')`, hospital))
	}
	got, err := l.Trace(l.ctx, id)
	l.must(err)
	if len(got.Cases) != 1 || got.Cases[0].Hospital != "h1" {
		t.Errorf("the trace of h1's message has the cases %+v", got.Cases)
	}
}
