package postgres

import (
	"context"
	"syscall"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/delivery"
)

// The reason of a message that waits or is parked says why the HIS did not answer.
func TestReasonsNameTheCause(t *testing.T) {
	refused := core.Verdict{Outcome: core.OutcomeUnavailable, Err: &core.Fault{Class: core.Unavailable, Op: "soap SaveFee", Err: syscall.ECONNREFUSED}}
	hung := core.Verdict{Outcome: core.OutcomeInDoubt, Err: &core.Fault{Class: core.InDoubt, Op: "soap SaveFee", Err: context.DeadlineExceeded}}
	for _, c := range []struct {
		next    delivery.Next
		verdict *core.Verdict
		want    string
	}{
		{delivery.Next{Class: core.Unavailable, Because: "nothing was done at the HIS"}, &refused, "nothing was done at the HIS: the HIS refused the connection"},
		{delivery.Next{Class: core.InDoubt, Because: "asked whether it has this, the HIS gave no answer to that"}, &hung, "asked whether it has this, the HIS gave no answer to that: no answer within 10 s"},
		{delivery.Next{Class: core.Unavailable, Because: "stays: the HIS refused the connection"}, &refused, "stays: the HIS refused the connection"},
		{delivery.Next{Class: core.Rejected, Because: "the HIS refused"}, &core.Verdict{Outcome: core.OutcomeRejected}, "the HIS refused"},
		{delivery.Next{Class: core.Invalid, Because: "it cannot be said"}, &refused, "it cannot be said"},
		{delivery.Next{Class: core.Unavailable, Because: "the hospital is not called at present"}, nil, "the hospital is not called at present"},
	} {
		var a *delivery.Attempt
		if c.verdict != nil {
			a = &delivery.Attempt{Exchange: core.Exchange{Verdict: *c.verdict, Called: time.Unix(1, 0), Answered: time.Unix(11, 0)}}
		}
		if got := reasonOf(c.next, a); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
