package player

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"

	"hishub/connectors"
	"hishub/core"
	"hishub/core/redis"
	"hishub/mapping"
)

// folders are all hospital folders that are shipped or that tests of the mapping
// have, by name.
func folders(t testing.TB) map[string]fs.FS {
	t.Helper()
	found := map[string]fs.FS{}
	for _, pattern := range []string{"../../../mapping/hospitals/*/hospital.yaml", "../../../mapping/testdata/good/*/hospital.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no folders at %s: %v", pattern, err)
		}
		for _, f := range files {
			dir := filepath.Dir(f)
			name := filepath.Base(dir)
			if strings.Contains(dir, "testdata") {
				name = "good/" + name
			}
			found[name] = os.DirFS(dir)
		}
	}
	return found
}

// unplayable are folders that the player refuses, and why.
var unplayable = map[string]string{
	"nanyuan":       "database",
	"jiangwan":      "database",
	"good/openmrs":  "database",
	"good/dongshan": "its WSDL is not in the folder", // tests of the mapping use a connector of their own
	"good/xihe":     "its WSDL is not in the folder",
}

// copied is a folder in memory, with the addresses that stand in it as text made
// variables.
func copied(t testing.TB, folder fs.FS) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, name)
		if name == "hospital.yaml" {
			data = []byte(strings.ReplaceAll(string(data), `"http://127.0.0.1:1"`, `"${PLAYED_URL}"`))
		}
		out[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// environment is env.sample, and something for what it lacks.
func environment(folder fs.FS) func(string) (string, bool) {
	sample := map[string]string{}
	if data, err := fs.ReadFile(folder, "env.sample"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
				sample[name] = value
			}
		}
	}
	return func(name string) (string, bool) {
		if v, ok := sample[name]; ok {
			return v, true
		}
		switch {
		case strings.HasSuffix(name, "_PORT"), strings.HasSuffix(name, "_ADDRESS"):
			return "127.0.0.1:1", true
		case strings.HasSuffix(name, "_URL"):
			return "http://127.0.0.1:1/his", true
		}
		return "not-a-real-one-16", true
	}
}

// played is a player and the hospital that reaches it over real connectors.
func played(t *testing.T, folder fs.FS) (*Player, *core.Hospital) {
	t.Helper()
	p, err := Start(t.Context(), Options{Folder: folder, Env: environment(folder)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, opened(t, p.Folder().Dialect)
}

// hospitalOf is the hospital of a folder in an environment.
func hospitalOf(t *testing.T, folder fs.FS, env func(string) (string, bool)) *core.Hospital {
	t.Helper()
	f, err := mapping.Load(folder, mapping.Options{Env: env, Open: connectors.Open})
	if err != nil {
		t.Fatal(err)
	}
	return opened(t, f.Dialect)
}

func opened(t *testing.T, d *core.Dialect) *core.Hospital {
	t.Helper()
	open := map[string]core.Connector{}
	for name, spec := range d.Connectors {
		c, err := connectors.Open(spec)
		if err != nil {
			t.Fatal(err)
		}
		open[name] = c
	}
	client := redis.Embedded()
	t.Cleanup(func() { client.Close() })
	h := core.NewHospital(d, 1, open, redis.NewSessions(client), nil)
	t.Cleanup(func() { h.Close() })
	return h
}

// message is one that a case of the folder has.
type message struct {
	name     string
	kind     core.Kind
	body     core.Body
	want     string // the outcome of the case
	step     string
	captured map[string]string
	about    core.Kind
}

func messages(t *testing.T, folder fs.FS, d *core.Dialect) []message {
	t.Helper()
	var out []message
	dirs, _ := fs.ReadDir(folder, "cases")
	for _, dir := range dirs {
		parts := strings.SplitN(dir.Name(), ".", 3)
		if len(parts) < 2 {
			continue
		}
		kind := core.Kind(parts[0] + "." + parts[1])
		if d.Operations[kind] == nil {
			continue
		}
		data, err := fs.ReadFile(folder, "cases/"+dir.Name()+"/message.json")
		if err != nil {
			continue
		}
		body, err := core.DecodeBody(kind, data)
		if err != nil {
			t.Fatal(err)
		}
		m := message{name: dir.Name(), kind: kind, body: body}
		var expect struct{ Outcome, Invalid string }
		if data, err := fs.ReadFile(folder, "cases/"+dir.Name()+"/expect.yaml"); err == nil {
			_ = yaml.Unmarshal(data, &expect)
		}
		var given struct {
			Step     string
			Captured map[string]string
			Message  struct{ Kind core.Kind }
		}
		if data, err := fs.ReadFile(folder, "cases/"+dir.Name()+"/given.yaml"); err == nil {
			_ = yaml.Unmarshal(data, &given)
		}
		m.want, m.step, m.captured, m.about = expect.Outcome, given.Step, given.Captured, given.Message.Kind
		if expect.Invalid == "" {
			out = append(out, m)
		}
	}
	// What is made comes before what takes it back.
	order := func(m message) int {
		return slices.IndexFunc(core.Catalogue, func(t core.Transaction) bool { return t.Kind == m.kind })
	}
	slices.SortStableFunc(out, func(a, b message) int { return order(a) - order(b) })
	return out
}
