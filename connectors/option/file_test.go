package option

import (
	"strings"
	"testing"
	"testing/fstest"
)

// A key that stands where a file's name or PEM text belongs is never repeated.
func TestFileShowsNoKey(t *testing.T) {
	files := fstest.MapFS{"pay/key.pem": {Data: []byte("content")}}
	for _, c := range []struct{ value, want, problem string }{
		{"pay/key.pem", "content", ""},
		{"-----BEGIN X-----\\nabc\\n-----END X-----", "-----BEGIN X-----\nabc\n-----END X-----", ""},
		{"pay/no.pem", "", `"pay/no.pem"`},
		{"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj", "", "-----BEGIN"},
	} {
		s := New(map[string]any{"key": c.value})
		got := string(s.File("key", files))
		err := s.Err()
		switch {
		case got != c.want:
			t.Errorf("%.20q gives %q", c.value, got)
		case c.problem == "" && err != nil:
			t.Error(err)
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "MIIE")):
			t.Errorf("%v", err)
		}
	}
}
