package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// words of "hishub serve": its flags, and the variables that it reads.
func serveWords(t *testing.T) (flags, variables []string) {
	t.Helper()
	out, err := exec.Command("hishub", "serve", "--help").Output()
	ok(t, err)
	for _, m := range regexp.MustCompile(`--(?:\[no-\])?([a-z-]+)`).FindAllSubmatch(out, -1) {
		flags = append(flags, string(m[1]), "no-"+string(m[1]))
	}
	for _, m := range regexp.MustCompile(`\$([A-Z][A-Z_]+)`).FindAllSubmatch(out, -1) {
		variables = append(variables, string(m[1]))
	}
	for _, name := range secretVariables {
		variables = append(variables, name, name+"_FILE")
	}
	return flags, variables
}

func deployed(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{repository(t), "deploy"}, path...)...))
	ok(t, err)
	return string(text)
}

// checkStart is what a manifest starts the program with.
func checkStart(t *testing.T, where string, args []string, env []string) {
	t.Helper()
	flags, variables := serveWords(t)
	if len(args) == 0 || args[0] != "serve" {
		t.Errorf("%s: starts %v", where, args)
		return
	}
	for _, a := range args[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		if !slices.Contains(flags, name) {
			t.Errorf("%s: serve has no flag %s", where, a)
		}
	}
	if len(env) < 3 {
		t.Errorf("%s: hardly any variable: %v", where, env)
	}
	for _, name := range env {
		if !slices.Contains(variables, name) {
			t.Errorf("%s: serve reads no variable %s", where, name)
		}
	}
}

type compose struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Secrets     []any
		Configs     []any
		Volumes     []string
		DependsOn   map[string]any `yaml:"depends_on"`
	}
	Volumes, Secrets map[string]any
	Configs          map[string]struct{ File string }
}

// Both compose files start the hub with words that it knows, and name no secret,
// volume, file or service that is not there.
func TestCompose(t *testing.T) {
	for _, name := range []string{"compose.yaml", "compose.cluster.yaml"} {
		var c compose
		ok(t, yaml.Unmarshal([]byte(deployed(t, name)), &c))
		hubs := 0
		made := t.TempDir()
		args := []string{filepath.Join(repository(t), "deploy", "secrets.sh"), made}
		if name == "compose.cluster.yaml" {
			args = append(args, "cluster")
		}
		if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for s := range c.Secrets {
			if _, err := os.Stat(filepath.Join(made, s)); err != nil {
				t.Errorf("%s: secrets.sh does not make %s", name, s)
			}
		}
		for id, s := range c.Services {
			where := name + " " + id
			if s.Image == "hishub" {
				hubs++
				checkStart(t, where, s.Command, sortedKeys(s.Environment))
				for variable, value := range s.Environment {
					if strings.HasSuffix(variable, "_FILE") && !strings.HasPrefix(value, "/run/secrets/") {
						t.Errorf("%s: %s is no secret", where, variable)
					}
				}
			}
			for other := range s.DependsOn {
				if _, ok := c.Services[other]; !ok {
					t.Errorf("%s: waits for %s, which is not there", where, other)
				}
			}
			for _, secret := range s.Secrets {
				source, _ := secret.(string)
				if m, ok := secret.(map[string]any); ok {
					source, _ = m["source"].(string)
				}
				if _, ok := c.Secrets[source]; !ok {
					t.Errorf("%s: no secret %v", where, secret)
				}
			}
			for _, v := range s.Volumes {
				source, _, _ := strings.Cut(v, ":")
				if strings.HasPrefix(source, "./") {
					if _, err := os.Stat(filepath.Join(repository(t), "deploy", source)); err != nil {
						t.Errorf("%s: mounts %s, which is not there", where, source)
					}
				} else if _, ok := c.Volumes[source]; !ok {
					t.Errorf("%s: no volume %s", where, source)
				}
			}
		}
		if want := map[string]int{"compose.yaml": 1, "compose.cluster.yaml": 2}[name]; hubs != want {
			t.Errorf("%s: %d hubs", name, hubs)
		}
		for id, config := range c.Configs {
			if _, err := os.Stat(filepath.Join(repository(t), "deploy", config.File)); err != nil {
				t.Errorf("%s: config %s: %v", name, id, err)
			}
		}
	}
}

// The manifests of Kubernetes hang together, and start the hub with words that it knows.
func TestKubernetes(t *testing.T) {
	var list struct{ Resources []string }
	ok(t, yaml.Unmarshal([]byte(deployed(t, "kubernetes", "kustomization.yaml")), &list))
	kinds := map[string]bool{}
	var data []string
	secret := map[string]bool{}
	type pod struct {
		TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
		Containers                    []struct {
			Args      []string
			Env       []struct{ Name, Value string }
			Lifecycle struct {
				PreStop map[string]any `yaml:"preStop"`
			}
			VolumeMounts []struct {
				Name, MountPath string
			} `yaml:"volumeMounts"`
		}
		Volumes []struct{ Name string }
	}
	var hub pod
	for _, file := range list.Resources {
		docs := yaml.NewDecoder(strings.NewReader(deployed(t, "kubernetes", file)))
		for {
			var d struct {
				Kind       string
				Metadata   struct{ Name string }
				Data       map[string]string
				StringData map[string]string `yaml:"stringData"`
				Spec       struct {
					Template struct{ Spec pod }
					Strategy struct {
						RollingUpdate struct {
							MaxUnavailable int `yaml:"maxUnavailable"`
						} `yaml:"rollingUpdate"`
					}
				}
			}
			d.Spec.Strategy.RollingUpdate.MaxUnavailable = -1
			err := docs.Decode(&d)
			if errors.Is(err, io.EOF) {
				break
			}
			ok(t, err)
			kinds[d.Kind] = true
			switch d.Kind {
			case "ConfigMap":
				data = sortedKeys(d.Data)
			case "Secret":
				for name := range d.StringData {
					secret["/run/secrets/hishub/"+name] = true
				}
			case "Deployment":
				hub = d.Spec.Template.Spec
				if d.Spec.Strategy.RollingUpdate.MaxUnavailable != 0 {
					t.Error("an update takes a hub away before another one is there")
				}
			}
		}
	}
	for _, kind := range []string{"Deployment", "Service", "Ingress", "PodDisruptionBudget", "ConfigMap", "Secret", "NetworkPolicy"} {
		if !kinds[kind] {
			t.Errorf("no %s", kind)
		}
	}
	c := hub.Containers[0]
	env := data
	for _, v := range c.Env {
		env = append(env, v.Name)
		if strings.HasSuffix(v.Name, "_FILE") && !secret[v.Value] {
			t.Errorf("%s: the secret has no %s", v.Name, v.Value)
		}
	}
	checkStart(t, "deployment", c.Args, env)
	if hub.TerminationGracePeriodSeconds < 10+10+35 || c.Lifecycle.PreStop == nil {
		t.Error("a hub is killed before it has finished what is in flight")
	}
	volumes := map[string]bool{}
	for _, v := range hub.Volumes {
		volumes[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
}

// The units start what there is; where systemd is, it reads them itself.
func TestUnits(t *testing.T) {
	unit := deployed(t, "systemd", "hishub.service")
	var env []string
	for _, m := range regexp.MustCompile(`\b([A-Z]+(?:_[A-Z]+)+)=`).FindAllStringSubmatch(unit, -1) {
		env = append(env, m[1])
	}
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/hishub (.*)$`).FindStringSubmatch(unit)
	checkStart(t, "hishub.service", strings.Fields(start[1]), env)
	script := regexp.MustCompile(`(?m)^ExecStart=/usr/local/lib/hishub/(\S+)`).FindStringSubmatch(deployed(t, "systemd", "hishub-backup.service"))
	if info, err := os.Stat(filepath.Join(repository(t), "deploy", script[1])); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%s cannot be started: %v", script[1], err)
	}
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	dir := t.TempDir()
	args := []string{"verify"}
	for _, name := range []string{"hishub.service", "hishub-backup.service", "hishub-backup.timer"} {
		file := filepath.Join(dir, name)
		text := regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(deployed(t, "systemd", name), "ExecStart=/bin/true")
		ok(t, os.WriteFile(file, []byte(text), 0o644))
		args = append(args, file)
	}
	if out, err := exec.Command(verify, args...).CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd: %v\n%s", err, out)
	}
}

// The image is built of what is there, and its health check is a command that exists.
func TestDockerfile(t *testing.T) {
	text := deployed(t, "Dockerfile")
	for _, want := range []string{"USER nonroot", "CGO_ENABLED=0", "./cmd/hishub", `CMD ["hishub", "doctor", "--healthz"`, "go.mod go.sum"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	module, err := os.ReadFile(filepath.Join(repository(t), "go.mod"))
	ok(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if !strings.Contains(text, "golang:"+string(version[1])+"-") {
		t.Errorf("it is not built with go %s", version[1])
	}
}
