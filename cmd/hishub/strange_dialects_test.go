package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hishub/connectors"
	"hishub/mapping"
)

// Two dialects that no shipped hospital speaks, written from the reference alone;
// their cases were recorded from servers that check every byte.
func TestStrangeDialects(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"donghai":  {"DONGHAI_ADDRESS": "127.0.0.1:1", "DONGHAI_LISTEN": "127.0.0.1:1"},
		"lingshan": {"LINGSHAN_URL": "http://127.0.0.1:1", "LINGSHAN_KEY": "测试key7"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := mapping.Load(os.DirFS(filepath.Join("..", "..", "mapping", "testdata", "good", name)), mapping.Options{
				Open: connectors.Open, Listen: connectors.Listen, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok },
			})
			ok(t, err)
			results := f.RunCases()
			if len(results) < 6 {
				t.Errorf("%d cases ran", len(results))
			}
			for _, r := range results {
				if !r.Passed() {
					t.Errorf("%s:\n%s", r.Name, strings.Join(r.Differences, "\n"))
				}
			}
		})
	}
}
