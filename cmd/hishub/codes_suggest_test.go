package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hishub/core"
	"hishub/core/postgres"
	"hishub/mocks/servers"
)

// suggested runs the command; its proposals and what it says beside them.
func suggested(t *testing.T, env []string, args ...string) (proposals, said string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := exec.Command("hishub", append([]string{"codes", "suggest"}, args...)...)
	c.Env, c.Stdout, c.Stderr = env, &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// Proposals come from the dictionary that the HIS itself gives, for a folder that
// nobody has applied and for the worklist of an active one.
func TestProposalsFromALiveDictionary(t *testing.T) {
	_, set := mockedHospitals["lianhu"].open(t)
	folder := filepath.Join("..", "..", "mapping", "hospitals", "lianhu")
	sample, err := readSample(os.DirFS(folder))
	ok(t, err)
	for name, v := range set {
		sample[name] = v
	}
	env := environment()
	for name, v := range sample {
		env = append(env, name+"="+v)
		t.Setenv(name, v)
	}
	ours := filepath.Join(t.TempDir(), "ours.csv")
	ok(t, os.WriteFile(ours, []byte("编码,名称,规格\nIH1,阿莫西林 胶囊,0.25g*24粒/盒\nIH2,葡萄糖酸钙锌溶液,\n"), 0o600))
	proposals, said := suggested(t, env, folder, "route", "--question", "drug.list", "--ours", ours)
	for _, want := range []string{"IH1,Y00000003803,1.00,same name and spec,阿莫西林 胶囊 0.25g*24粒/盒,阿莫西林胶囊 0.25g*24粒/盒\n", "IH2,Y00000002416,0.85,same name but for the form,"} {
		if !strings.Contains(proposals, want) {
			t.Errorf("no %q in\n%s%s", want, proposals, said)
		}
	}

	url, key := servers.Postgres(t), filepath.Join(t.TempDir(), "key")
	ok(t, postgres.Migrate(t.Context(), url))
	store, err := postgres.Open(t.Context(), postgres.Options{URL: url, KeyFile: key, CreateKey: true})
	ok(t, err)
	_, _, err = applyFolder(t.Context(), store, os.DirFS(folder), "it", "")
	ok(t, err)
	store.NoteCodes("lianhu", 1, core.CodeUse{Table: "route", Direction: core.CodeOut, Code: "IH7", Text: "阿莫西林胶囊"}, core.CodeUse{Table: "other", Direction: core.CodeOut, Code: "IH8", Text: "阿莫西林胶囊"})
	store.Close() // writes them
	proposals, said = suggested(t, append(env, "DATABASE_URL="+url, "HISHUB_KEY_FILE="+key), "lianhu", "route", "--question", "drug.list")
	if !strings.Contains(proposals, "IH7,Y00000003803,0.95,same name,阿莫西林胶囊,") || strings.Contains(proposals, "IH8") || !strings.Contains(said, "nothing was applied") {
		t.Errorf("for the worklist:\n%s%s", proposals, said)
	}
}
