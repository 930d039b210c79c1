package core_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestImports keeps the walls of the house: who may know whom.
func TestImports(t *testing.T) {
	allowed := map[string][]string{ // folder -> what of ours it may import; longest match wins
		"core":                         {},
		"core/delivery":                {"core"},
		"core/inbound":                 {"core"},
		"core/incident":                {"core"},
		"core/alert":                   {"core", "core/incident", "core/report"},
		"core/replay":                  {"core", "core/delivery"},
		"core/shadow":                  {"core", "core/delivery"},
		"core/reconcile":               {"core", "core/delivery"}, // for the states of a delivery
		"core/reconcile/reconciletest": {"core", "core/delivery", "core/reconcile"},
		"core/postgres":                {"core", "core/delivery", "core/alert", "core/inbound", "core/incident", "core/reconcile", "core/replay", "core/shadow", "core/postgres"},
		"core/report":                  {"core", "core/reconcile"},
		"core/rabbit":                  {"core", "core/delivery", "core/inbound", "core/reconcile"},
		"core/redis":                   {"core", "core/delivery"},
		"core/api":                     {"core", "core/delivery", "core/inbound", "core/incident", "core/reconcile", "core/replay", "core/report", "core/shadow", "core/postgres", "core/api"},
		"mapping":                      {"core", "mapping"},
		"mapping/formats":              {"core"},
		"mapping/functions":            {"core", "mapping/formats"},
		"connectors":                   {"core", "connectors"},
		"connectors/soap":              {"core", "connectors/option", "connectors/charset", "connectors/wire"},
		"connectors/rest":              {"core", "connectors/option", "connectors/charset", "connectors/wire"},
		"connectors/db":                {"core", "connectors/option", "connectors/charset", "connectors/wire"},
		"connectors/tcp":               {"core", "connectors/option", "connectors/charset", "connectors/wire"},
		"connectors/bill":              {"core"},
		"connectors/wechatpay":         {"core", "connectors/bill", "connectors/option", "connectors/wire"},
		"connectors/alipay":            {"core", "connectors/bill", "connectors/option", "connectors/charset", "connectors/wire"},
		"connectors/billfile":          {"core", "connectors/bill", "connectors/option", "connectors/charset", "connectors/wire"},
		"connectors/connectortest":     {"core", "connectors/proxy"},
		"connectors/proxy":             {},
		"platform":                     {"core", "platform"},
		"platform/clinic/clinictest":   {"core", "platform", "mocks/servers"},
		"mocks":                        {"mocks"},
		"mocks/servers":                {"core/postgres/private", "mocks"},
		"cmd":                          {"core", "mapping", "connectors", "platform", "mocks", "cmd"},
	}
	testsMay := []string{"mocks/servers", "mocks/paychannel", "mocks/fault", "mocks/robots", "mocks/postbox", "connectors/connectortest", "connectors/proxy", "core/reconcile/reconciletest"}
	testsOf := map[string][]string{
		"platform/audit":       {"core/postgres"}, // the chain is the hub's
		"platform/appointment": {"core/rabbit"},   // whose queues hand out tickets
	}
	standardOnly := map[string]bool{"core": true}

	root := ".."
	count := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "node_modules" || d.Name() == "testdata" || rel == "tools" || rel == "data") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(rel))
		may, known := longest(allowed, folder)
		if !known {
			t.Errorf("%s: no rule for this folder; the top level is fixed", rel)
			return nil
		}
		test := strings.HasSuffix(path, "_test.go")
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		count++
		for _, imp := range file.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			if standardOnly[folder] && !test && strings.Contains(strings.Split(name, "/")[0], ".") {
				t.Errorf("%s imports %s: the core root knows the standard library only", rel, name)
			}
			ours, ok := strings.CutPrefix(name, "hishub/")
			if !ok || ours == folder || permits(may, ours) || test && (permits(testsMay, ours) || permits(testsOf[folder], ours)) {
				continue
			}
			t.Errorf("%s must not import %s", rel, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if count < 20 {
		t.Fatalf("only %d files were read; is the tree where this test looks?", count)
	}
}

func longest(rules map[string][]string, folder string) ([]string, bool) {
	for f := folder; f != "."; f = filepath.ToSlash(filepath.Dir(f)) {
		if may, ok := rules[f]; ok {
			return may, true
		}
	}
	return nil, false
}

// permits: an entry stands for its folder; for the houses with many rooms also
// for what is below it.
func permits(may []string, imported string) bool {
	for _, m := range may {
		if imported == m {
			return true
		}
		switch m {
		case "connectors", "mapping", "platform", "mocks", "cmd", "core/postgres", "core/api":
			if strings.HasPrefix(imported, m+"/") {
				return true
			}
		}
		if m == "core" && imported != "core" && len(may) > 5 && strings.HasPrefix(imported, "core/") {
			return true // cmd wires everything
		}
	}
	return false
}
