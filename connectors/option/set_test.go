package option

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	s := New(map[string]any{
		"timout": "5s", "charset": "latin", "max_answer": "8 potatoes", "concurrency": 0, "unwrap": "maybe",
		"tls":  map[string]any{"ca": "missing.pem", "insecure": true, "srever_name": "x"},
		"zzzz": 1, "insecure": true,
	})
	s.Duration("timeout", time.Second)
	s.OneOf("charset", "UTF-8", "GB18030")
	s.Size("max_answer", 1)
	s.Count("concurrency")
	s.Bool("unwrap", true)
	s.Needed("endpoint")
	s.Refuse("insecure", "not offered")
	tls := s.Map("tls")
	tls.File("ca", fstest.MapFS{})
	tls.Text("server_name", "")
	tls.Refuse("insecure", "not offered; name the certificate as ca")
	want := core.Problems{
		{Field: "charset", What: "not one of UTF-8, GB18030"},
		{Field: "max_answer", What: "not a size like 8MiB or 512KiB, at most 2GiB"},
		{Field: "concurrency", What: "not a whole number above 0"},
		{Field: "unwrap", What: "not true or false"},
		{Field: "endpoint", What: "missing"},
		{Field: "insecure", What: "not offered"},
		{Field: "tls.ca", What: `no readable file "missing.pem" in the hospital folder`},
		{Field: "tls.insecure", What: "not offered; name the certificate as ca"},
		{Field: "timout", What: "no such option; did you mean timeout?"},
		{Field: "zzzz", What: "no such option; there are timeout, charset, max_answer, concurrency, unwrap, endpoint, insecure, tls"},
		{Field: "tls.srever_name", What: "no such option; did you mean server_name?"},
	}
	if diff := cmp.Diff(want, s.Err()); diff != "" {
		t.Error(diff)
	}
}

func TestValuesAreRead(t *testing.T) {
	s := New(map[string]any{"timeout": "2m", "max_answer": "2MiB", "concurrency": 3, "unwrap": false, "port": 80,
		"tls": map[string]any{"ca": "ca.pem", "key": "-----BEGIN X-----\n"}})
	files := fstest.MapFS{"ca.pem": {Data: []byte("PEM")}}
	tls := s.Map("tls")
	got := []any{s.Duration("timeout", 0), s.Size("max_answer", 0), s.Count("concurrency"), s.Bool("unwrap", true), s.Text("port", ""),
		string(tls.File("ca", files)), string(tls.File("key", files)), s.Size("other", 7), s.OneOf("action", "quoted", "unquoted")}
	want := []any{2 * time.Minute, int64(2 << 20), 3, false, "80", "PEM", "-----BEGIN X-----\n", int64(7), "quoted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}
