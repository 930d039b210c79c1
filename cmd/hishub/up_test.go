package main

import (
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core/postgres"
	shipped "hishub/mapping/hospitals"
	"hishub/mocks/servers"
)

// One hospital's missing variable keeps nobody else down, and a restart does not
// bring back a folder that was replaced.
func TestUpAppliesWhatLoads(t *testing.T) {
	url := servers.Postgres(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DONGSHAN_URL", "http://127.0.0.1:1/his") // and nothing of 西湖
	log := slog.New(slog.DiscardHandler)
	h, err := openHub(t.Context(), log, url, filepath.Join(t.TempDir(), "key"), true, services{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	of := func(name string) fs.FS {
		f, err := fs.Sub(shipped.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	up := &upCmd{}
	found := map[string]fs.FS{"dongshan": of("dongshan"), "xihu": of("xihu")}
	if err := up.applyAll(t.Context(), h, found); err != nil {
		t.Fatal(err)
	}
	active := func() (all []postgres.HospitalRecord) {
		all, err := h.store.Hospitals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := active(); len(all) != 1 || all[0].ID != "dongshan" || all[0].Revision != 1 {
		t.Fatalf("%+v", all)
	}
	// Somebody applies another folder; then up starts again with the old one.
	other := fstest.MapFS{}
	err = fs.WalkDir(found["dongshan"], ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(found["dongshan"], path)
		other[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text := string(other["hospital.yaml"].Data)
	other["hospital.yaml"].Data = []byte(strings.Replace(text, "name: 东山医院", "name: 东山新院", 1))
	if _, _, err := applyFolder(t.Context(), h.store, other, "it", ""); err != nil {
		t.Fatal(err)
	}
	if err := up.applyAll(t.Context(), h, found); err != nil {
		t.Fatal(err)
	}
	if all := active(); all[0].Revision != 2 || all[0].Name != "东山新院" {
		t.Errorf("the restart brought the old folder back: %+v", all)
	}
	if err := up.applyAll(t.Context(), h, map[string]fs.FS{"xihu": of("xihu")}); err == nil {
		t.Error("up runs with no hospital that loads")
	}
}
