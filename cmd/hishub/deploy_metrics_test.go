package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// known are the labels of each metric that the hub has, histograms by the names
// that a query may use.
func known(t *testing.T) map[string][]string {
	t.Helper()
	m := full(1)
	m.served("hospital-0000", "", "refused")
	authority := newAuthority(t, "api")
	cert, key := authority.files("api")
	c, err := tlsFiles{TLSCert: cert, TLSKey: key}.config()
	ok(t, err)
	m.apiCertificate(c)
	families, err := m.registry.Gather()
	ok(t, err)
	all := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				if !slices.Contains(labels, l.GetName()) {
					labels = append(labels, l.GetName())
				}
			}
		}
		names := []string{f.GetName()}
		if f.GetType().String() == "HISTOGRAM" {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
			labels = append(labels, "le")
		}
		for _, n := range names {
			all[n] = labels
		}
	}
	return all
}

var (
	metricName = regexp.MustCompile(`\b(?:hishub|process|go)_[a-z0-9_]+\b`)
	recorded   = regexp.MustCompile(`\bhishub:[a-z0-9_:]+\b`)
	selector   = regexp.MustCompile(`([a-z_][a-z0-9_]*)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`^([a-z_]+)(?:=~|!~|!=|=)"([^"]*)"$`)
	grouping   = regexp.MustCompile(`by \(([^)]*)\)`)
	templated  = regexp.MustCompile(`\$labels\.([a-z_]+)|\{\{([a-z_]+)\}\}`)
)

// query complains about what an expression names and the hub has not.
func query(known map[string][]string, records []string, expr string) (problems []string) {
	depth := 0
	for _, r := range expr {
		switch r {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		problems = append(problems, "brackets do not match")
	}
	var labels []string
	for _, name := range metricName.FindAllString(expr, -1) {
		of, ok := known[name]
		if !ok {
			problems = append(problems, "no metric "+name)
		}
		labels = append(labels, of...)
	}
	for _, name := range recorded.FindAllString(expr, -1) {
		if !slices.Contains(records, name) {
			problems = append(problems, "no rule records "+name)
		}
	}
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range strings.Split(s[2], ",") {
			parts := matcher.FindStringSubmatch(strings.TrimSpace(m))
			if parts == nil {
				problems = append(problems, "not a matcher: "+m)
			} else if of, ok := known[s[1]]; ok && !slices.Contains(of, parts[1]) {
				problems = append(problems, s[1]+" has no label "+parts[1])
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, label := range strings.Split(g[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(labels, label) {
				problems = append(problems, "groups by "+label+", which no metric of it has")
			}
		}
	}
	return problems
}

// The rules and the dashboard name metrics and labels that a hub has.
func TestRulesNameMetrics(t *testing.T) {
	known := known(t)
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Record, Alert, Expr, For string
				Labels, Annotations      map[string]string
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(repository(t), "deploy", "prometheus", "rules.yaml"))
	ok(t, err)
	ok(t, yaml.UnmarshalWithOptions(text, &rules))
	var records []string
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			name := r.Record + r.Alert
			if r.Expr == "" || name == "" || seen[name] {
				t.Errorf("%q: no expression, no name, or there twice", name)
			}
			seen[name] = true
			for _, p := range query(known, records, r.Expr) {
				t.Errorf("%s: %s", name, p)
			}
			if r.Record != "" {
				records = append(records, r.Record)
				continue
			}
			if r.For != "" {
				_, err := time.ParseDuration(r.For)
				ok(t, err)
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("%s: no severity, summary or action", name)
			}
			for _, l := range templated.FindAllStringSubmatch(fmt.Sprint(r.Annotations), -1) {
				if l[1] != "" && !strings.Contains(r.Expr, l[1]) && !strings.Contains(r.Expr, "hishub:failures") && !strings.Contains(r.Expr, "delta(") {
					t.Errorf("%s: its words name %s, which its expression does not keep", name, l[1])
				}
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("%d rules", len(seen))
	}
}

func TestDashboardNamesMetrics(t *testing.T) {
	known := known(t)
	var board struct {
		Title, UID string
		Panels     []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	text, err := os.ReadFile(filepath.Join(repository(t), "deploy", "grafana", "hishub.json"))
	ok(t, err)
	ok(t, json.Unmarshal(text, &board))
	used := string(text)
	for _, p := range board.Panels {
		if p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 {
			t.Errorf("%s: outside of the page, or empty", p.Title)
		}
		for _, target := range p.Targets {
			for _, problem := range query(known, nil, target.Expr) {
				t.Errorf("%s: %s", p.Title, problem)
			}
		}
	}
	for _, v := range board.Templating.List {
		for _, name := range metricName.FindAllString(v.Query, -1) {
			if _, ok := known[name]; !ok {
				t.Errorf("variable %s: no metric %s", v.Name, name)
			}
		}
	}
	rules, err := os.ReadFile(filepath.Join(repository(t), "deploy", "prometheus", "rules.yaml"))
	ok(t, err)
	used += string(rules)
	for name := range known {
		if strings.HasPrefix(name, "hishub_") && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") && !strings.Contains(used, strings.TrimSuffix(name, "_bucket")) {
			t.Errorf("nobody looks at %s", name)
		}
	}
}

// The check of expressions finds what is wrong.
func TestQuery(t *testing.T) {
	known := map[string][]string{"hishub_a": {"hospital"}}
	for expr, wrong := range map[string]bool{
		`max by (hospital) (hishub_a{hospital=~"x"}) > 1`: false,
		`hishub_b`:                     true,
		`hishub_a{state="x"}`:          true,
		`hishub_a{hospital="x}`:        true,
		`max by (state) (hishub_a)`:    true,
		`max by (hospital) (hishub_a`:  true,
		`hishub:nobody:records > 1`:    true,
		`time() - max(hishub_a) > 600`: false,
	} {
		if got := query(known, nil, expr); (got != nil) != wrong {
			t.Errorf("%s: %v", expr, got)
		}
	}
}
