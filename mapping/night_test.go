package mapping

import (
	"testing"
	"time"

	"hishub/core"
)

func TestReconcileOfAFolder(t *testing.T) {
	n := load(t, folder(t, "beishan")).Dialect.Night
	excluded := n.Excluded
	n.Excluded = nil
	want := core.NightRules{
		At: "30 10 * * *", Cut: 17 * 60, Margin: 5 * time.Minute, PaymentTransit: 12 * time.Hour, RefundTransit: 72 * time.Hour, HISClock: true,
		FourEyesFrom: 10000, FullEvery: 3,
	}
	if len(n.Operators) != 2 || n.Operators[1] != "net08" || len(n.Channels) != 2 || n.Channels[1] != "alipay" {
		t.Errorf("operators %v, channels %v", n.Operators, n.Channels)
	}
	n.Operators, n.Channels = nil, nil
	if n.At != want.At || n.Cut != want.Cut || n.Margin != want.Margin || n.PaymentTransit != want.PaymentTransit || n.RefundTransit != want.RefundTransit ||
		n.HISClock != want.HISClock || n.FourEyesFrom != want.FourEyesFrom || n.FullEvery != want.FullEvery || n.States != want.States {
		t.Errorf("got %+v\nwant %+v", n, want)
	}
	for _, c := range []struct {
		party string
		entry core.LedgerEntry
		want  bool
	}{
		{"his", core.LedgerEntry{Type: core.EntryPayment, Operator: "net07", Amount: 100, Channel: "wechat"}, false},
		{"his", core.LedgerEntry{Type: core.EntryPayment, Operator: "net08", Amount: 100}, false},
		{"his", core.LedgerEntry{Type: core.EntryPayment, Operator: "C001", Amount: 100}, true},
		{"ours", core.LedgerEntry{Type: core.EntryPayment, Operator: "C001", Amount: 100}, false},
		{"ours", core.LedgerEntry{Type: core.EntryPayment}, true},
		{"channel", core.LedgerEntry{Type: core.EntryPayment, Amount: 1, Channel: "cash"}, true},
	} {
		if got, err := excluded(c.party, c.entry); got != c.want || err != nil {
			t.Errorf("%s %+v: excluded %v, %v", c.party, c.entry, got, err)
		}
	}
}

func TestAFolderThatSaysNothingHasTheDefaultNight(t *testing.T) {
	d := load(t, folder(t, "nanshan")).Dialect
	if n, def := d.Night, core.DefaultNight(); n.At != def.At || n.Margin != def.Margin || n.PaymentTransit != def.PaymentTransit ||
		n.RefundTransit != def.RefundTransit || n.FullEvery != def.FullEvery || !n.States || n.Excluded != nil || n.FourEyesFrom != 0 {
		t.Errorf("got %+v", n)
	}
	if len(d.Channels) != 0 {
		t.Errorf("channels %v", d.Channels)
	}
}

// Rules run in parallel nights.
func TestExclusionsInParallel(t *testing.T) {
	excluded := load(t, folder(t, "beishan")).Dialect.Night.Excluded
	t.Run("group", func(t *testing.T) {
		for _, operator := range []string{"net07", "C001"} {
			t.Run(operator, func(t *testing.T) {
				t.Parallel()
				for range 500 {
					if got, err := excluded("his", core.LedgerEntry{Operator: operator, Amount: 1}); got != (operator == "C001") || err != nil {
						t.Fatalf("%v %v", got, err)
					}
				}
			})
		}
	})
}
