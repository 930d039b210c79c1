package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hishub/core"
	"hishub/core/incident"
	"hishub/core/postgres"
	shipped "hishub/mapping/hospitals"
	"hishub/mocks/servers"
)

// What stands still is wrong: a hub that was killed while messages wait, and a HIS that
// does not answer. What the doctor was not given is told of once.
func TestDoctorOfWhatStands(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	i := &installation{t, environment("DATABASE_URL="+servers.Postgres(t), "HISHUB_DATA="+dir, "HISHUB_KEY_FILE="+key, "HISHUB_LISTEN=127.0.0.1:1")}
	url := strings.TrimPrefix(i.env[len(i.env)-4], "DATABASE_URL=")
	ok(t, postgres.Migrate(t.Context(), url))
	store, err := postgres.Open(t.Context(), postgres.Options{URL: url, KeyFile: key, CreateKey: true, MaxConns: 4})
	ok(t, err)
	defer store.Close()
	for _, name := range []string{"dongshan", "xihu"} {
		files, err := fs.Sub(shipped.FS, name)
		ok(t, err)
		f, err := loadCases(files)
		ok(t, err)
		_, err = applyLoaded(t.Context(), store, f.Dialect, files, "li", "")
		ok(t, err)
	}
	i.expect(i.look(), "port", "ok", "a hub can take it")
	i.expect(i.look(), "incidents", "ok", "none is open")

	_, err = store.Enqueue(t.Context(), "dongshan", core.Message{Kind: core.PrescriptionVoid, Body: &core.PrescriptionVoiding{No: "RX1", VisitNo: "V1", PatientNo: "P1", Reason: "测试", OperatorCode: "D1", VoidedAt: time.Now()}})
	ok(t, err)
	_, err = store.OpenIncident(t.Context(), "dongshan", incident.Breaker, incident.Words{En: "nothing answers"}, nil)
	ok(t, err)
	_, err = store.OpenIncident(t.Context(), "xihu", incident.Parked, incident.Words{En: "1 waits for a person"}, nil)
	ok(t, err)
	found := i.look()
	i.expect(found, "port", "wrong", "no hub works on this database: 1 wait")
	i.expect(found, "incident 1 at dongshan", "wrong", "the HIS does not answer since 20")
	i.expect(found, "incident 2 at xihu", "warning", "1 waits for a person; as it stood when a hub last worked")
	i.expect(found, "variables", "wrong", "cannot be looked at: dongshan, xihu")
	if f, there := found["hospital xihu"]; there {
		t.Errorf("xihu is told of twice: %s", f.Detail)
	}
	doctor := exec.Command("hishub", "doctor")
	doctor.Env = i.env
	if out, err := doctor.CombinedOutput(); err == nil || !strings.Contains(string(out), "→ give doctor what the hub was given: --env") {
		t.Errorf("%v: %s", err, out)
	}
	// With a file, what it lacks is that hospital's.
	file := filepath.Join(dir, "my.env")
	ok(t, os.WriteFile(file, []byte("DONGSHAN_URL=http://127.0.0.1:1\n"), 0o600))
	i.expect(i.look("HISHUB_ENV="+file), "hospital xihu", "wrong", "XIHU_USER is not set")

	// A hub elsewhere works on it.
	_, err = store.Own(t.Context(), "another", time.Minute)
	ok(t, err)
	i.expect(i.look(), "port", "ok", "elsewhere: 1")
}

// Every kind of incident has something to do about it.
func TestCures(t *testing.T) {
	other := cure(incident.Incident{Hospital: "h"})
	for _, k := range incident.Kind("").Values() {
		if cure(incident.Incident{Hospital: "h", Kind: incident.Kind(k)}) == other {
			t.Errorf("%s has no cure of its own", k)
		}
	}
}
