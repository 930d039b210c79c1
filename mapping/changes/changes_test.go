package changes

import (
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

func side(name string, files map[string]string) Side {
	out := Side{Name: name, Files: fstest.MapFS{}, Dialect: &core.Dialect{}}
	for n, text := range files {
		out.Files.(fstest.MapFS)[n] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestKeysAndPasswordsAreNotShown(t *testing.T) {
	c, err := Between(
		side("old", map[string]string{"hub.pem": "-----BEGIN PRIVATE KEY-----\nOLDKEY", "hospital.yaml": "proxy: http://u:oldpass@h:1\n", "env.sample": "A_PASSWORD=oldpass\nB=1\n", "x.bin": "\xff\x01"}),
		side("new", map[string]string{"hub.pem": "-----BEGIN PRIVATE KEY-----\nNEWKEY", "hospital.yaml": "proxy: http://u:newpass@h:1\n", "env.sample": "A_PASSWORD=newpass\nB=2\n", "x.bin": "\xff\x02", ".hidden": "x"}))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range c.Files {
		all.WriteString(f.Name + "\n" + f.Diff)
	}
	for _, n := range c.Notes {
		all.WriteString(n.About + ": " + n.What + "\n")
	}
	for _, hidden := range []string{"OLDKEY", "NEWKEY", "oldpass", "newpass", ".hidden"} {
		if strings.Contains(all.String(), hidden) {
			t.Errorf("%s is shown:\n%s", hidden, all.String())
		}
	}
	for _, told := range []string{"hub.pem\n(a key; it is not shown)", "x.bin\n(no text; 2 and 2 bytes)", "hospital.yaml\n(only what is not shown differs)", "+B=2"} {
		if !strings.Contains(all.String(), told) {
			t.Errorf("no %q in\n%s", told, all.String())
		}
	}
}

func TestWhatRulesMean(t *testing.T) {
	c, err := Between(
		side("old", map[string]string{"p.yaml": "payment.settle:\n  steps: [{name: pay, outcome: {ok: a == \"1\", verify: b}}]\n"}),
		side("new", map[string]string{"p.yaml": "payment.settle:\n  steps: [{name: pay, outcome: {ok: true, rejected: true, busy: c}}]\n"}))
	if err != nil {
		t.Fatal(err)
	}
	var warnings, notes int
	for _, n := range c.Notes {
		if n.Warning {
			warnings++
		} else {
			notes++
		}
	}
	if warnings != 3 || notes != 2 { // ok, rejected, verify; is changed, busy
		t.Errorf("got %+v", c.Notes)
	}
}
