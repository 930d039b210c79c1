package certify_test

import (
	"os"
	"testing"

	"hishub/cmd/hishub/certify"
	"hishub/cmd/hishub/player"
	"hishub/core"
)

var played = []core.Kind{core.PrescriptionCreate, core.PrescriptionVoid, core.PaymentSettle, core.RefundCreate}

// A folder at play is a HIS that does what the folder says, so it conforms, with its
// clock and its ledger.
func TestFoldersAtPlay(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dongshan", "xihu", "beicheng", "lianhu", "yongan"} {
		t.Run(name, func(t *testing.T) {
			env := sample(t, name)
			p, err := player.Start(t.Context(), player.Options{
				Folder: os.DirFS("../../../mapping/hospitals/" + name),
				Env:    func(name string) (string, bool) { v, ok := env[name]; return v, ok },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for k, v := range p.Env() {
				env[k] = v
			}
			passes(t, run(t, name, env, certify.Options{Only: []string{"A", "B", "C", "E", "F", "G", "H"}, Kinds: played}), "C.repeat payment.settle", "C.amount payment.settle")
			passes(t, run(t, name, env, certify.Options{Only: []string{"D"}, Kinds: []core.Kind{core.PaymentSettle}}))
		})
	}
}
