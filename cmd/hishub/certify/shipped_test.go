package certify_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/mocks/resthis"
	"hishub/mocks/shipped"
)

// own is a shipped folder's environment with its fake.
func own(t *testing.T, name string, start shipped.Start) map[string]string {
	t.Helper()
	his, more, err := start(t.Context(), shipped.Options{})
	opened(t, his, err)
	env := sample(t, name)
	for k, v := range more {
		env[k] = v
	}
	return env
}

// The platform compares the times inside a prescription with each other.
func TestJianguan(t *testing.T) {
	t.Parallel()
	c := run(t, "jianguan", own(t, "jianguan", shipped.Jianguan), certify.Options{Only: []string{"A", "B", "C", "D", "G", "H"}, Kinds: []core.Kind{core.PrescriptionCreate}})
	passes(t, c, append(each(drills, "prescription.create"), "C.once prescription.create", "G.rare prescription.create")...)
}

// Its listener knows the HIS by a token: there is no signature to break.
func TestXingguang(t *testing.T) {
	t.Parallel()
	c := run(t, "xingguang", own(t, "xingguang", shipped.Xingguang), certify.Options{Only: []string{"A", "B", "F"}})
	passes(t, c, "B.login main")
	it := c.Find("F.tampered prescription.dispensed")
	if it == nil || it.Result != certify.NotApplicable || !strings.Contains(strings.Join(it.Why, ""), "signs nothing") {
		t.Errorf("%+v", it)
	}
}

// A rule that looks at nothing, or at a part of the content only, is no excuse.
func TestRulesThatLetChangesPass(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]certify.Result{
		`wire.headers.authorization != "nobody"`:                                                    certify.Fail,
		`wire.headers.authorization == "Bearer " + secret.notice_token and whole.type != "x"`:       certify.NotApplicable,
		`wire.headers.authorization == "Bearer " + secret.notice_token and whole.type == "history"`: certify.Fail,
		`whole.type == "history"`: certify.Fail,
	} {
		files := edited(t, "xingguang", `wire.headers.authorization == "Bearer " + secret.notice_token`, rule)
		c := run(t, "xingguang", sample(t, "xingguang"), certify.Options{Files: files, Only: []string{"F"}})
		if it := c.Find("F.tampered prescription.dispensed"); it == nil || it.Result != want {
			t.Errorf("%s: %+v", rule, it)
		}
	}
}

// edited is a shipped folder with one text of its hospital.yaml changed.
func edited(t *testing.T, name, from, to string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	shipped := os.DirFS("../../../mapping/hospitals/" + name)
	err := fs.WalkDir(shipped, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(shipped, name)
		if name == "hospital.yaml" {
			if !strings.Contains(string(data), from) {
				t.Fatalf("no %s in it", from)
			}
			data = []byte(strings.Replace(string(data), from, to, 1))
		}
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Where nobody listens, or the login is refused, one item fails and the rest says why
// it was not tried, at once and whatever chapters were asked for.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		env   func(his *resthis.HIS, env map[string]string)
		only  []string
		fails string
		words string
	}{
		"dead":              {func(his *resthis.HIS, _ map[string]string) { _ = his.Close() }, nil, "B.answers default", "connection refused"},
		"dead, C only":      {func(his *resthis.HIS, _ map[string]string) { _ = his.Close() }, []string{"C"}, "B.answers default", "connection refused"},
		"password":          {func(_ *resthis.HIS, env map[string]string) { env["XIHU_PASSWORD"] = "wrong" }, nil, "B.login main", "请重新登录"},
		"password, D and E": {func(_ *resthis.HIS, env map[string]string) { env["XIHU_PASSWORD"] = "wrong" }, []string{"D", "E"}, "B.login main", "请重新登录"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			his, env := xihu(t, resthis.Options{})
			c.env(his, env)
			began := time.Now()
			// The folder's own waits: nothing of it may come to them.
			got := run(t, "xihu", env, certify.Options{Only: c.only, Timeout: time.Minute})
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			fails(t, got, c.fails)
			tried := 0
			for _, it := range got.Items {
				why := strings.Join(it.Why, "; ")
				switch {
				case it.Check == "C.refused": // there is no message for it, reached or not
				case it.Result == certify.Fail, strings.Contains("CDGH", it.Check[:1]) && it.Result == certify.NotTried:
					tried++
					if !strings.Contains(why, c.words) {
						t.Errorf("%s does not say %s: %s", it.ID, c.words, why)
					}
				case strings.Contains("CDGHE", it.Check[:1]) && it.Result == certify.Pass:
					t.Errorf("%s passed", it.ID)
				}
			}
			if tried < 2 {
				t.Errorf("%d items say why", tried)
			}
		})
	}
}
