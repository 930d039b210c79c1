package connectors

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"hishub/core"
)

// least opens a connector of each kind.
var least = map[string]map[string]any{
	"soap": {"endpoint": "http://127.0.0.1:1/his", "namespace": "urn:his"},
	"rest": {"base": "http://127.0.0.1:1"},
	"db":   {"driver": "postgres", "dsn": "postgres://u:p@127.0.0.1:1/his"},
	"tcp":  {"address": "127.0.0.1:1", "framing": "mllp"},
}

func TestEveryKindOpensWithoutNetwork(t *testing.T) {
	for _, k := range Kinds {
		c, err := Open(core.ConnectorSpec{Name: "default", Kind: k.Name, Options: least[k.Name]})
		if err != nil {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: close: %v", k.Name, err)
		}
	}
}

// The list of option names is what the JSON Schema is made of; it must not be
// another one than the constructors read.
func TestOptionsListedAreOptionsRead(t *testing.T) {
	for _, k := range slices.Concat(Kinds, Channels) {
		options := map[string]any{"no_such_thing": "x"}
		nested := map[string]bool{}
		for _, n := range k.Options {
			at := options
			for path := strings.Split(n, "."); len(path) > 1; path = path[1:] {
				inner, ok := at[path[0]].(map[string]any)
				if !ok {
					inner = map[string]any{"no_such_thing": "x"}
					at[path[0]] = inner
				}
				nested[path[0]] = true
				at = inner
			}
		}
		for name, v := range least[k.Name] {
			if _, ok := options[name].(map[string]any); !ok {
				options[name] = v
			}
		}
		_, err := k.Open(core.ConnectorSpec{Kind: k.Name, Options: options})
		var ps core.Problems
		if !errors.As(err, &ps) {
			t.Fatalf("%s: %v", k.Name, err)
		}
		read := map[string]bool{}
		for _, p := range ps {
			_, names, ok := strings.Cut(p.What, "there are ")
			if !ok {
				continue
			}
			prefix := strings.TrimSuffix(p.Field, "no_such_thing")
			for _, n := range strings.Split(names, ", ") {
				if !nested[n] {
					read[prefix+n] = true
				}
			}
		}
		for _, n := range k.Options {
			if !read[n] {
				t.Errorf("%s lists option %s, but does not read it", k.Name, n)
			}
			delete(read, n)
		}
		for n := range read {
			t.Errorf("%s reads option %s, but does not list it", k.Name, n)
		}
	}
}

// A channel is opened as a channel only, and a HIS as a HIS.
func TestChannelsAreAListOfTheirOwn(t *testing.T) {
	_, err := OpenChannel(core.ConnectorSpec{Kind: "wechatpy"})
	var ps core.Problems
	if !errors.As(err, &ps) || ps[0].Field != "kind" || !strings.HasPrefix(ps[0].What, "not one of wechatpay, alipay, file") || !strings.Contains(ps[0].What, "did you mean wechatpay?") {
		t.Error(err)
	}
	if _, err = OpenChannel(core.ConnectorSpec{Kind: "rest", Options: least["rest"]}); err == nil {
		t.Error("a HIS was opened as a channel")
	}
	if _, err = Open(core.ConnectorSpec{Kind: "wechatpay"}); !errors.As(err, &ps) || ps[0].Field != "kind" {
		t.Error(err)
	}
}

func TestMistakesNameTheCure(t *testing.T) {
	for name, c := range map[string]struct {
		kind    string
		options map[string]any
		want    core.Problem
	}{
		"kind":            {"saop", nil, core.Problem{Field: "kind", What: "not one of soap, rest, db, tcp; did you mean soap?"}},
		"charset":         {"rest", map[string]any{"charset": "GB2313"}, core.Problem{Field: "charset", What: "not one of UTF-8, GB18030, GBK"}},
		"misspelt option": {"soap", map[string]any{"endpiont": "x"}, core.Problem{Field: "endpiont", What: "no such option; did you mean endpoint?"}},
		"insecure":        {"rest", map[string]any{"tls": map[string]any{"insecure": true}}, core.Problem{Field: "tls.insecure", What: "is not offered: a HIS that is not verified may be anybody; name its certificate as tls.ca"}},
		"missing file":    {"rest", map[string]any{"tls": map[string]any{"ca": "ca.pem"}}, core.Problem{Field: "tls.ca", What: "names a file, but there is no folder"}},
		"driver":          {"db", map[string]any{"driver": "oracle9"}, core.Problem{Field: "driver", What: "not one of mysql, oracle, postgres, sqlserver"}},
		"soap version":    {"soap", map[string]any{"version": "1.3"}, core.Problem{Field: "version", What: "not one of 1.1, 1.2"}},
		"soap 1.2 action": {"soap", map[string]any{"version": "1.2", "action": "unquoted"}, core.Problem{Field: "action", What: "SOAP 1.2 has it in quotes only"}},
		"charset of a db": {"db", map[string]any{"charset": "GB18030"}, core.Problem{Field: "charset", What: "leave it out: the connection speaks UTF-8 and the database converts"}},
		"rate":            {"rest", map[string]any{"rate": "20/s"}, core.Problem{Field: "rate", What: "is kept for the whole hospital: write limits: {rate: 20/s} beside connectors"}},
	} {
		t.Run(name, func(t *testing.T) {
			options := map[string]any{}
			for n, v := range least[c.kind] {
				options[n] = v
			}
			for n, v := range c.options {
				options[n] = v
			}
			_, err := Open(core.ConnectorSpec{Kind: c.kind, Options: options})
			var ps core.Problems
			if !errors.As(err, &ps) {
				t.Fatalf("opened, or %v", err)
			}
			for _, p := range ps {
				if p == c.want {
					return
				}
			}
			t.Errorf("got %+v", ps)
		})
	}
}

func TestSecretsOfBadAddressesAreNotRepeated(t *testing.T) {
	for kind, options := range map[string]map[string]any{
		"soap": {"endpoint": "http//u:s3cret@host\x7f", "namespace": "n"},
		"rest": {"base": "://u:s3cret@host?key=s3cret"},
		"db":   {"driver": "postgres", "dsn": "postgres://u:s3cret@host:port/x?sslmode=nonsense"},
	} {
		_, err := Open(core.ConnectorSpec{Kind: kind, Options: options})
		var ps core.Problems
		if !errors.As(err, &ps) {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, p := range ps {
			if strings.Contains(p.What, "s3cret") {
				t.Errorf("%s: %s", kind, p.What)
			}
		}
	}
	_, err := Open(core.ConnectorSpec{Kind: "db", Options: map[string]any{"driver": "mysql", "dsn": "u:s3cret@tcp(host"}})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}
