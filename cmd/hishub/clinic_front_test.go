package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write deploy/nginx/clinic.conf")

const frontHead = `# Which process of a clinic in parts (deploy/compose.clinic.yaml) serves what. Made of the API's document; not
# to be edited: go test ./cmd/hishub -run TestFront -update
map "$request_method $uri" $part {
    default hub;
    "~^GET /clinic/v1/socket$" %s;
    "~^POST /clinic/v1/notices/" %s;
`

const frontTail = `}
map $http_upgrade $connection_upgrade { default upgrade; "" close; }
resolver 127.0.0.11 valid=10s; # Docker's: a process that was started anew is found again
server {
    listen 8080;
    client_max_body_size 11m; # pictures of a chat
    location / {
        proxy_pass http://$part:8080;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_read_timeout 120s;
    }
    # These are each process's own.
    location ~ ^/(metrics|healthz|readyz)$ { return 404; }
}
`

type clinicCompose struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Secrets     []string
		DependsOn   map[string]any `yaml:"depends_on"`
		Volumes     []string
	}
	Secrets map[string]struct{ File string }
}

// TestFront: the front of a clinic in parts sends every operation to the service of
// compose.clinic.yaml that has its module, and these services have all modules, each once.
func TestFront(t *testing.T) {
	var c clinicCompose
	ok(t, yaml.Unmarshal([]byte(deployed(t, "compose.clinic.yaml")), &c))
	serves := map[string]string{} // module to service
	for name, s := range c.Services {
		if len(s.Command) == 0 || s.Command[0] != "platform" {
			continue
		}
		i := slices.Index(s.Command, "--modules")
		for _, m := range strings.Split(s.Command[i+1], ",") {
			if other := serves[m]; other != "" || !slices.Contains(moduleNames, m) {
				t.Errorf("%s serves %s, as %q does", name, m, other)
			}
			serves[m] = name
		}
		for _, secret := range s.Secrets {
			if _, known := c.Secrets[secret]; !known && !slices.Contains([]string{"database_url", "amqp_url", "redis_url", "hospitals_env"}, secret) {
				t.Errorf("%s: no secret %s", name, secret)
			}
		}
	}
	for _, m := range moduleNames {
		if serves[m] == "" {
			t.Errorf("nobody serves %s", m)
		}
	}
	if got := c.Services["hub"].Command; !slices.Equal(got, []string{"serve", "--modules", "none"}) {
		t.Errorf("the hub is started as %v", got)
	}

	var doc struct {
		Paths map[string]map[string]struct {
			Module string `json:"x-module"`
		} `json:"paths"`
	}
	o := newOffice(t, "")
	ok(t, json.Unmarshal([]byte(o.ask("", "GET", "/openapi.json", nil).text), &doc))
	type line struct{ method, path, service string }
	var lines []line
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Module != "" {
				lines = append(lines, line{strings.ToUpper(method), path, serves[op.Module]})
			}
		}
	}
	slices.SortFunc(lines, func(a, b line) int { // the more exact path first
		if x, y := strings.Count(a.path, "{"), strings.Count(b.path, "{"); x != y {
			return x - y
		}
		return strings.Compare(a.path+a.method, b.path+b.method)
	})
	var text strings.Builder
	fmt.Fprintf(&text, frontHead, serves["chat"], serves["pay"])
	parameter := regexp.MustCompile(`\{[a-z_]+\}`)
	for _, l := range lines {
		fmt.Fprintf(&text, "    \"~^%s %s$\" %s;\n", l.method, parameter.ReplaceAllString(strings.ReplaceAll(l.path, ".", `\.`), "[^/]+"), l.service)
	}
	text.WriteString(frontTail)
	path := filepath.Join(repository(t), "deploy", "nginx", "clinic.conf")
	if *update {
		ok(t, os.WriteFile(path, []byte(text.String()), 0o644))
	}
	if deployed(t, "nginx", "clinic.conf") != text.String() {
		t.Error("deploy/nginx/clinic.conf is not what the API's document says: go test ./cmd/hishub -run TestFront -update")
	}
}

// What a process of modules is started with is what it knows.
func TestPlatformIsStarted(t *testing.T) {
	out, err := exec.Command("hishub", "platform", "--help").Output()
	ok(t, err)
	var known []string
	for _, m := range regexp.MustCompile(`\$([A-Z][A-Z_]+)`).FindAllSubmatch(out, -1) {
		known = append(known, string(m[1]))
	}
	for _, name := range secretVariables {
		known = append(known, name+"_FILE")
	}
	var c clinicCompose
	ok(t, yaml.Unmarshal([]byte(deployed(t, "compose.clinic.yaml")), &c))
	named := map[string][]string{}
	for id, s := range c.Services {
		if len(s.Command) > 0 && s.Command[0] == "platform" {
			named[id] = sortedKeys(s.Environment)
		}
	}
	unit := deployed(t, "systemd", "hishub-platform@.service")
	for _, m := range regexp.MustCompile(`\b([A-Z]+(?:_[A-Z]+)+)=`).FindAllStringSubmatch(unit, -1) {
		named["unit"] = append(named["unit"], m[1])
	}
	if len(named) != 5 || !strings.Contains(unit, "\nExecStart=/usr/local/bin/hishub platform\n") {
		t.Errorf("%v", named)
	}
	for who, names := range named {
		if len(names) < 5 {
			t.Errorf("%s: hardly any variable: %v", who, names)
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s: platform reads no variable %s", who, name)
			}
		}
	}
	for args, says := range map[string]string{
		"platform --modules payments --hub http://hub --hub-key hk_x": `no module "payments": there are identity`,
		"platform --modules pay --hub hub --hub-key hk_x":             "--hub: not an address",
		"platform --modules pay --hub http://hub --hub-key x":         "hishub key new",
		"platform --modules pay --hub http://hub --hub-key hk_x":      "REDIS_URL: missing",
		"serve --modules none,pay":                                    `no module "none"`,
	} {
		cmd := exec.Command("hishub", strings.Fields(args)...)
		cmd.Env = environment("DATABASE_URL=postgres://nobody@127.0.0.1:1/none")
		text, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), says) {
			t.Errorf("%s: %v %s", args, err, text)
		}
	}
}
