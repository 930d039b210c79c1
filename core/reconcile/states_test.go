package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/reconcile"
)

func TestCompareStates(t *testing.T) {
	mine := func(told, voidTold string, stage core.Stage) reconcile.Prescribed {
		return reconcile.Prescribed{
			Type: reconcile.EntryPrescription, Number: "RX-1", Amount: 2150, At: noon, Message: 7,
			Told: told, VoidTold: voidTold, Stage: stage,
		}
	}
	is := func(s core.State, stage core.Stage) *core.Status { return &core.Status{State: s, Stage: stage} }
	done := func(stage core.Stage) *core.Status { return is(core.StateDone, stage) }
	held := func(amount core.Fen) *core.Status {
		s := done(core.StageActive)
		s.Amount = &amount
		return s
	}
	const active, voided, dispensed, performed, returned = core.StageActive, core.StageVoided, core.StageDispensed, core.StagePerformed, core.StageReturned
	absent, refused, running := is(core.StateAbsent, ""), is(core.StateRefused, ""), is(core.StateRunning, "")
	for _, c := range []struct {
		name   string
		ours   reconcile.Prescribed
		theirs *core.Status
		late   bool // two days later
		want   reconcile.Class
		cause  string
	}{
		{"alike", mine("delivered", "", active), done(active), false, reconcile.Matched, ""},
		{"no stage decides nothing", mine("delivered", "", active), done(""), false, reconcile.Matched, ""},
		{"absent", mine("delivered", "", active), absent, false, reconcile.MissingAtHIS, "has not"},
		{"refused", mine("delivered", "", active), refused, false, reconcile.MissingAtHIS, "refused"},
		{"running", mine("delivered", "", active), running, false, reconcile.InTransit, "at work"},
		{"queued", mine("queued", "", active), absent, false, reconcile.InTransit, "not been told"},
		{"sending, there already", mine("sending", "", active), done(active), true, reconcile.InTransit, "not been told"},
		{"queued too long", mine("queued", "", active), absent, true, reconcile.MissingAtHIS, "longer"},
		{"parked", mine("parked", "", active), absent, false, reconcile.MissingAtHIS, "parked"},
		{"parked, and there", mine("parked", "", active), done(active), false, reconcile.StateDiffers, "parked"},
		{"cancelled", mine("cancelled", "", active), absent, false, reconcile.Excluded, "before it took effect"},
		{"cancelled, and there", mine("cancelled", "", active), done(active), false, reconcile.StateDiffers, "cancelled"},
		{"voided, both", mine("delivered", "delivered", voided), done(voided), false, reconcile.Matched, ""},
		{"voided, gone there", mine("delivered", "delivered", voided), absent, false, reconcile.Matched, ""},
		{"voided here, dispensed there", mine("delivered", "delivered", voided), done(dispensed), false, reconcile.StateDiffers, "voided here, dispensed there"},
		{"voided here, active there", mine("delivered", "delivered", voided), done(active), false, reconcile.StateDiffers, "still active"},
		{"cancelled here, performed there", mine("delivered", "delivered", voided), done(performed), false, reconcile.StateDiffers, "performed there"},
		{"voided here, handed back there", mine("delivered", "delivered", voided), done(returned), false, reconcile.Matched, ""},
		{"void on its way", mine("delivered", "queued", voided), done(active), false, reconcile.InTransit, "taken back"},
		{"void parked", mine("delivered", "parked", voided), done(active), false, reconcile.StateDiffers, "voided here"},
		{"active here, voided there", mine("delivered", "", active), done(voided), false, reconcile.StateDiffers, "active here, voided there"},
		{"dispensed here, voided there", mine("delivered", "", dispensed), done(voided), false, reconcile.StateDiffers, "dispensed here, voided there"},
		{"dispensed here, active there", mine("delivered", "", dispensed), done(active), false, reconcile.StateDiffers, "dispensed here, active there"},
		{"the HIS is further", mine("delivered", "", active), done(dispensed), false, reconcile.Matched, ""},
		{"another amount", mine("delivered", "", active), held(2151), false, reconcile.AmountDiffers, "another amount"},
		{"the same amount", mine("delivered", "", active), held(2150), false, reconcile.Matched, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := noon.Add(time.Hour)
			if c.late {
				now = noon.AddDate(0, 0, 2)
			}
			got, unanswered := reconcile.CompareStates([]reconcile.Prescribed{c.ours}, map[string]*core.Status{c.ours.Key(): c.theirs}, now, 24*time.Hour)
			if len(got) != 1 || len(unanswered) != 0 || got[0].Class != c.want || !strings.Contains(got[0].Cause, c.cause) {
				t.Fatalf("found %+v, want %s, %q", got, c.want, c.cause)
			}
			if e := got[0].Ours; len(e) != 1 || e[0].Number != "RX-1" || e[0].Message != 7 || e[0].Amount != 2150 {
				t.Errorf("ours is %+v", e)
			}
			if there := c.theirs.State == core.StateDone || c.theirs.State == core.StateRunning; (len(got[0].HIS) == 1) != there {
				t.Errorf("the HIS's is %+v", got[0].HIS)
			}
		})
	}
}

func TestCompareStatesReportsTheUnanswered(t *testing.T) {
	ours := []reconcile.Prescribed{
		{Type: reconcile.EntryPrescription, Number: "B", Told: "delivered"}, {Type: reconcile.EntryOrder, Number: "B", Told: "delivered"},
		{Type: reconcile.EntryPrescription, Number: "A", Told: "delivered"},
	}
	got, unanswered := reconcile.CompareStates(ours, map[string]*core.Status{
		ours[0].Key(): {State: core.StateDone}, ours[1].Key(): {State: core.StateUnknown},
	}, noon, time.Hour)
	if len(got) != 1 || got[0].Number != "B" || got[0].Type != reconcile.EntryPrescription {
		t.Errorf("found %+v", got)
	}
	if len(unanswered) != 2 || unanswered[0].Type != reconcile.EntryOrder || unanswered[1].Number != "A" {
		t.Errorf("unanswered %+v", unanswered)
	}
}
