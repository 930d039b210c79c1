package main

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hishub/core/api"
	"hishub/core/postgres"
	"hishub/mocks/servers"
	"hishub/platform/clinic"
)

// parts are the modules that each process of a split clinic serves.
var parts = [][]string{
	{"identity", "audit", "notify", "regulator"},
	{"directory", "patient", "catalog", "schedule", "appointment"},
	{"order", "pay"},
	{"chat", "consult", "rx", "fulfilment"},
}

// parted is a hub without modules, a process for each part, and a front that sends each
// request where it is served.
type parted struct {
	hub   *process
	parts []*process
	front front
}

// startSplit runs everything at real RabbitMQ and Redis behind the address listen. d's own
// hub only holds what the test looks at.
func (d *day) startSplit(ctx context.Context, t *testing.T, listen, database, keyFile string) {
	redis, broker := servers.Redis(t), servers.RabbitMQ(t)
	key, prefix, hash := api.NewKey()
	_, err := d.store.AddKey(ctx, postgres.Key{Prefix: prefix, Hash: hash, Name: "platform", Role: "submitter"})
	ok(t, err)
	env := environment("DATABASE_URL="+database, "REDIS_URL="+redis, "AMQP_URL="+broker, "HISHUB_KEY_FILE="+keyFile, "HISHUB_STAND_INS=true",
		"HISHUB_SMS_URL="+d.sms.URL(), "HISHUB_PUBLIC_URL=http://"+listen, "HISHUB_HUB_KEY="+key)
	s := &parted{hub: startHub(t, env, "--modules", "none")}
	d.split = s
	for _, names := range parts {
		// Of a hospital's secrets only those who take payments know any.
		own := env
		if !slices.Contains(names, "pay") {
			own = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return secretOfHIS.MatchString(v) })
		}
		p := startProgram(t, own, "platform", "--listen", "127.0.0.1:0", "--modules", strings.Join(names, ","), "--hub", s.hub.address)
		s.parts = append(s.parts, p)
		s.front.learn(t, p.address)
	}
	s.front.hub = s.hub.address
	listener, err := net.Listen("tcp", listen)
	ok(t, err)
	server := &http.Server{Handler: &s.front}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	d.address = "http://" + listen
}

var secretOfHIS = regexp.MustCompile(`^(LIANHU|BEICHENG|JIANGWAN|JIANGUAN|WECHAT)_`)

// front sends each request to the process whose document has its operation.
type front struct {
	routes []route
	hub    string
	paths  map[string]json.RawMessage // all of the documents
}

type route struct {
	method, template string
	path             *regexp.Regexp
	address          string
}

var inPath = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

// learn asks a process what it serves.
func (f *front) learn(tb testing.TB, address string) {
	tb.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	a, err := http.Get(address + "/openapi.json")
	ok(tb, err)
	defer a.Body.Close()
	ok(tb, json.NewDecoder(a.Body).Decode(&doc))
	if len(doc.Paths) == 0 {
		tb.Fatalf("%s documents nothing", address)
	}
	if f.paths == nil {
		f.paths = map[string]json.RawMessage{}
	}
	merged := map[string]map[string]json.RawMessage{}
	for path, methods := range doc.Paths {
		if was, shared := f.paths[path]; shared { // two modules have operations of one path
			var others map[string]json.RawMessage
			ok(tb, json.Unmarshal(was, &others))
			maps.Copy(methods, others)
		}
		merged[path] = methods
		for method := range doc.Paths[path] {
			f.routes = append(f.routes, route{strings.ToUpper(method), path, regexp.MustCompile("^" + inPath.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$"), address})
		}
		var err error
		f.paths[path], err = json.Marshal(methods)
		ok(tb, err)
	}
	// The more exact path first.
	slices.SortStableFunc(f.routes, func(a, b route) int { return strings.Count(a.template, "{") - strings.Count(b.template, "{") })
}

// at is the process that serves an address.
func (f *front) at(method, path string) string {
	for prefix, operation := range map[string]string{"/socket": "/conversations/{no}/messages", "/notices/": "/orders/{no}/payments"} { // no operations of their own
		if strings.HasPrefix(path, clinic.Prefix+prefix) && !strings.HasSuffix(path, "/dead") {
			path, method = clinic.Prefix+strings.Replace(operation, "{no}", "1", 1), "GET"
		}
	}
	for _, r := range f.routes {
		if r.method == method && r.path.MatchString(path) {
			return r.address
		}
	}
	return f.hub
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/openapi.json" {
		_ = json.NewEncoder(w).Encode(map[string]any{"paths": f.paths})
		return
	}
	to, err := url.Parse(f.at(r.Method, r.URL.Path))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
}

// TestClinicDayInParts is the same day with a process for each group of modules, beside a
// hub without any, at a real RabbitMQ and a real Redis.
func TestClinicDayInParts(t *testing.T) {
	d := newDay(t, true)
	d.wholeDay(t)
	t.Run("what is served elsewhere says where", func(t *testing.T) {
		for _, c := range []struct{ at, method, path, says string }{
			{d.split.parts[0].address, "GET", "/clinic/v1/consults", "the module consult serves this"},
			{d.split.parts[3].address, "POST", "/clinic/v1/notices/wechat/lianhu", "the module pay serves this"},
			{d.split.hub.address, "GET", "/clinic/v1/orders", "the module order serves this"},
			{d.split.hub.address, "GET", "/clinic/v1/socket", "the module chat serves this"},
			{d.split.parts[0].address, "GET", "/v1/hospitals", "hishub serve"},
		} {
			d.address = c.at
			s := d.ask(d.patient, c.method, c.path, nil)
			if kind, detail := s.problem(); s.status != http.StatusNotFound || kind != "not-found" || !strings.Contains(detail, c.says) {
				t.Errorf("%s %s: %d %s", c.method, c.path, s.status, s.text)
			}
		}
	})
	for _, p := range append(d.split.parts, d.split.hub) {
		if status := p.stop(); status != 0 {
			t.Errorf("a process ended with %d", status)
		}
		for _, secret := range []string{phone, "张三测试", "阿莫西林"} {
			if strings.Contains(p.words.last(), secret) {
				t.Error("a process's log names the patient, or what he has")
			}
		}
	}
}
