package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hishub/cmd/hishub/player"
	"hishub/core"
)

// played is the folder that is played. Nothing of its fake HIS has a part in it.
const played = "heping"

// folder has a hospital played from nothing but its folder, and certified: the
// list's chapters about one kind, with answers that get lost.
func (t *tale) folder(ctx context.Context) error {
	began := time.Now()
	at := filepath.Join(t.dir, "hospitals", played)
	p, err := player.Start(ctx, player.Options{Folder: os.DirFS(at), Env: t.lookup})
	if err != nil {
		return err
	}
	defer p.Close()
	var env []string
	for name, value := range p.Env() {
		env = append(env, name+"="+value)
	}
	t.certificate = filepath.Join(t.report, "certification-"+played+".html")
	said, err := t.runWith(env, "hospital", "certify", at, "--only", "C,D", "--kind", string(core.PaymentSettle), "--timeout", "300ms", "--report", t.certificate)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	heard := 0
	for _, x := range p.Exchanges() {
		if x.Kind == core.PaymentSettle {
			heard++
		}
	}
	if heard == 0 {
		return fmt.Errorf("the player heard no payment: %s", said)
	}
	counts, _, _ := strings.Cut(strings.TrimSpace(said), "; report: ")
	t.held("%s, in %s: %d requests heard, among them %d with a payment", counts, time.Since(began).Round(100*time.Millisecond), len(p.Exchanges()), heard)
	return nil
}
