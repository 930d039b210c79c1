package clinic

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

func proxies(t testing.TB, texts ...string) (all []Proxy) {
	t.Helper()
	for _, text := range texts {
		var p Proxy
		if err := p.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// Where a request comes from is what trusted proxies say, and nothing that anybody else
// could have written.
func TestClientBehindProxies(t *testing.T) {
	trusted := proxies(t, "10.0.0.0/8", "192.0.2.1", "2001:db8::/32")
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"203.0.113.9:4711", nil, "203.0.113.9"},
		{"203.0.113.9:4711", []string{"198.51.100.1"}, "203.0.113.9"}, // nobody's word
		{"10.0.0.7:80", nil, "10.0.0.7"},
		{"10.0.0.7:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.7:80", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},         // what the client wrote himself
		{"10.0.0.7:80", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},       // in a header of its own
		{"10.0.0.7:80", []string{"10.9.9.9, 203.0.113.9"}, "203.0.113.9"},             // also as if he were a proxy
		{"10.0.0.7:80", []string{"203.0.113.9, 192.0.2.1 , 10.0.0.8"}, "203.0.113.9"}, // three proxies
		{"10.0.0.7:80", []string{"10.0.0.9, 10.0.0.8"}, "10.0.0.9"},                   // all of them trusted
		{"10.0.0.7:80", []string{"203.0.113.9, unknown"}, "10.0.0.7"},                 // no address
		{"10.0.0.7:80", []string{"203.0.113.9:55, 10.0.0.8:80"}, "203.0.113.9"},       // with ports
		{"[2001:db8::1]:80", []string{"2001:dead::1"}, "2001:dead::1"},                // IPv6
		{"[::ffff:10.0.0.7]:80", []string{"[2001:dead::1]:9"}, "2001:dead::1"},        // IPv4 within
		{"[fe80::1%eth0]:80", []string{"203.0.113.9"}, "fe80::1"},                     // a zone
		{"192.0.2.2:80", []string{"203.0.113.9"}, "192.0.2.2"},                        // beside the trusted one
		{"10.0.0.7:80", []string{""}, "10.0.0.7"},
		{"@", []string{"203.0.113.9"}, "@"},
	} {
		if got := clientOf(trusted, c.remote, c.forwarded); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
		if got := clientOf(nil, c.remote, c.forwarded); got != clientOf(nil, c.remote, nil) {
			t.Errorf("%s is believed without being trusted: %s", c.forwarded, got)
		}
	}
	for _, wrong := range []string{"", "10.0.0.0/33", "0.0.0.0/0", "::/0", "proxy.example"} {
		var p Proxy
		if err := p.UnmarshalText([]byte(wrong)); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if p := proxies(t, "10.1.2.3/8")[0]; p.String() != "10.0.0.0/8" {
		t.Errorf("%s", p)
	}
}

func FuzzClientBehindProxies(f *testing.F) {
	f.Add("10.0.0.7:80", "203.0.113.9, 10.0.0.8")
	f.Add("203.0.113.9:1", "10.0.0.8")
	f.Add("[::1%x]:", ",,[")
	trusted := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		got := clientOf(trusted, remote, []string{forwarded})
		at, ok := parseAddress(remote)
		if ok && !netip.Prefix(trusted[0]).Contains(at) && got != at.String() {
			t.Errorf("%q, which is not trusted, made %q of itself", remote, got)
		}
	})
}

// The limits and the endpoints have the same address.
func TestAddressOfARequest(t *testing.T) {
	mux := http.NewServeMux()
	var limited, seen string
	a := &API{Huma: humago.New(mux, huma.DefaultConfig("test", "1")), Proxies: proxies(t, "10.0.0.0/8"),
		Allow: func(_ context.Context, who string) (bool, time.Duration, error) { limited = who; return true, 0, nil }}
	Register(a, Endpoint{ID: "where", Method: http.MethodGet, Path: "/where"}, func(_ context.Context, _ Person, in *struct{ From }) (*Out[string], error) {
		seen = in.Address()
		return &Out[string]{seen}, nil
	})
	for remote, want := range map[string]string{"10.0.0.7:80": "203.0.113.9", "198.51.100.7:80": "198.51.100.7"} {
		r := httptest.NewRequest(http.MethodGet, Prefix+"/where", nil)
		r.RemoteAddr = remote
		r.Header["X-Forwarded-For"] = []string{"192.0.2.77", "203.0.113.9"}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK || seen != want || limited != "nobody "+want {
			t.Errorf("from %s: %d, %q, %q; want %s", remote, w.Code, seen, limited, want)
		}
	}
}
