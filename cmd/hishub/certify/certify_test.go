package certify_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"hishub/cmd/hishub/certify"
	"hishub/connectors"
	"hishub/core"
	"hishub/mapping"
	"hishub/mocks/asmxhis"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/pushhis"
	"hishub/mocks/resthis"
	"hishub/mocks/servers"
	"hishub/mocks/soaphis"
)

// load compiles a folder for an environment.
func load(t *testing.T, files fs.FS, env map[string]string) *mapping.Folder {
	t.Helper()
	folder, err := mapping.Load(files, mapping.Options{
		Env:  func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Open: connectors.Open, OpenChannel: connectors.OpenChannel, Listen: connectors.Listen,
	})
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// sample is the folder's env.sample.
func sample(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../../mapping/hospitals/" + name + "/env.sample")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			env[name] = value
		}
	}
	return env
}

func run(t *testing.T, name string, env map[string]string, o certify.Options) *certify.Certificate {
	t.Helper()
	if o.Files == nil {
		o.Files = os.DirFS("../../../mapping/hospitals/" + name)
	}
	o.Folder = load(t, o.Files, env)
	o.Agreed = load(t, o.Files, sample(t, name))
	if o.Timeout == 0 {
		o.Timeout = 300 * time.Millisecond
	}
	o.Lang = "en"
	c, err := certify.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// passes: nothing failed, and what must have been proved was.
func passes(t *testing.T, c *certify.Certificate, proved ...string) {
	t.Helper()
	for _, it := range c.Items {
		if it.Result == certify.Fail {
			t.Errorf("%s: %s", it.ID, strings.Join(it.Why, "; "))
		}
	}
	for _, id := range proved {
		if it := c.Find(id); it == nil || it.Result != certify.Pass {
			t.Errorf("%s is not proved: %+v", id, it)
		}
	}
	t.Log(c.Counts, c.Ended.Sub(c.Started))
}

// fails: exactly these failed.
func fails(t *testing.T, c *certify.Certificate, want ...string) {
	t.Helper()
	wanted := map[string]bool{}
	for _, id := range want {
		wanted[id] = true
		if it := c.Find(id); it == nil || it.Result != certify.Fail {
			t.Errorf("%s did not fail: %+v", id, it)
		}
	}
	for _, it := range c.Items {
		if it.Result == certify.Fail && !wanted[it.ID] {
			t.Errorf("%s failed, too: %s", it.ID, strings.Join(it.Why, "; "))
		}
	}
}

func opened[H interface{ Close() error }](t *testing.T, his H, err error) H {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = his.Close() })
	return his
}

func dongshan(t *testing.T, o soaphis.Options) (*soaphis.HIS, map[string]string) {
	his, err := soaphis.Start(context.Background(), o)
	opened(t, his, err)
	return his, map[string]string{"DONGSHAN_URL": his.URL()}
}

func xihu(t *testing.T, o resthis.Options) (*resthis.HIS, map[string]string) {
	his, err := resthis.Start(context.Background(), o)
	opened(t, his, err)
	return his, map[string]string{"XIHU_URL": his.URL(), "XIHU_USER": "inet_hub", "XIHU_PASSWORD": "xihu-test", "XIHU_NOTICE_KEY": "xihu-notice"}
}

var drills = []string{"D.down", "D.cut", "D.swallowed", "D.late", "D.garbage", "D.truncated", "D.blackhole"}

func each(checks []string, about string) (ids []string) {
	for _, c := range checks {
		ids = append(ids, c+" "+about)
	}
	return ids
}

func TestDongshan(t *testing.T) {
	t.Parallel()
	his, env := dongshan(t, soaphis.Options{})
	c := run(t, "dongshan", env, certify.Options{})
	proved := each(drills, "prescription.create")
	proved = append(proved, each(drills, "refund.create")...)
	proved = append(proved, each(drills, "payment.settle/confirm")...)
	proved = append(proved, "C.undo payment.settle", "C.repeat payment.settle", "C.amount payment.settle", "E.detail", "E.total", "E.twice", "H.parallel")
	passes(t, c, proved...)
	once(t, his.Books())
}

// once: whatever the certificate says, the books of the HIS have everything once.
func once(t *testing.T, b books.Export) {
	t.Helper()
	seen := map[string]int{}
	for _, s := range b.Settlements {
		seen["settlement "+s.Order]++
	}
	for _, r := range b.Refunds {
		seen["refund "+r.No]++
	}
	for _, p := range b.Prescriptions {
		seen["prescription "+p.No]++
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
	if len(seen) == 0 {
		t.Error("the books are empty")
	}
}

func TestXihu(t *testing.T) {
	t.Parallel()
	his, env := xihu(t, resthis.Options{})
	c := run(t, "xihu", env, certify.Options{})
	proved := each(drills, "prescription.create")
	proved = append(proved, each(drills, "payment.settle")...)
	proved = append(proved, each(drills, "refund.create")...)
	proved = append(proved, "B.login main", "B.renew main", "E.detail", "E.total")
	passes(t, c, proved...)
	once(t, his.Books())
}

// The other two have more writes than a test has time for drills.
var (
	drilled       = []core.Kind{core.PaymentSettle, core.AppointmentCancel}
	withoutDrills = []string{"A", "B", "C", "E", "F", "G", "H"}
)

func TestLianhu(t *testing.T) {
	t.Parallel()
	his, err := pushhis.Start(context.Background(), pushhis.Options{Again: 10 * time.Millisecond})
	opened(t, his, err)
	env := map[string]string{"LIANHU_URL": his.URL(), "LIANHU_KEY": "lianhu-test"}
	passes(t, run(t, "lianhu", env, certify.Options{Only: withoutDrills}), "E.detail", "C.once appointment.pay", "F.answers refund.apply")
	passes(t, run(t, "lianhu", env, certify.Options{Only: []string{"D"}, Kinds: drilled}), each(drills, "payment.settle")...)
	once(t, his.Books())
}

func TestBeicheng(t *testing.T) {
	t.Parallel()
	his, err := asmxhis.Start(context.Background(), asmxhis.Options{})
	opened(t, his, err)
	env := map[string]string{"BEICHENG_URL": his.URL()}
	passes(t, run(t, "beicheng", env, certify.Options{Only: withoutDrills}), "E.detail", "C.once appointment.cancel")
	passes(t, run(t, "beicheng", env, certify.Options{Only: []string{"D"}, Kinds: drilled}), each(drills, "payment.settle")...)
	once(t, his.Books())
}

func TestNanyuan(t *testing.T) {
	t.Parallel()
	his, err := dbhis.Start(context.Background(), dbhis.Options{Driver: "postgres", DSN: servers.Postgres(t), Poll: 10 * time.Millisecond})
	opened(t, his, err)
	env := map[string]string{"NANYUAN_DRIVER": "postgres", "NANYUAN_DSN": his.DSN()}
	passes(t, run(t, "nanyuan", env, certify.Options{Only: withoutDrills}), "E.detail", "E.total", "C.repeat refund.create")
	c := run(t, "nanyuan", env, certify.Options{Only: []string{"D"}, Kinds: []core.Kind{core.PrescriptionCreate, core.PaymentSettle}})
	passes(t, c, append(each(drills, "prescription.create"), each(drills, "payment.settle")...)...)
	b, err := his.Books(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	once(t, b)
}

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// A HIS that books a repeat again is found where repeats are tried, and nowhere else.
func TestRepeatsThatDouble(t *testing.T) {
	t.Parallel()
	_, env := xihu(t, resthis.Options{Repeats: books.Double})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C"}, Kinds: []core.Kind{core.PrescriptionCreate}})
	fails(t, c, "C.repeat prescription.create", "C.amount prescription.create")
}
