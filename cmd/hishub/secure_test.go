package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secureHIS is a HIS over https whose clock is an hour slow, and its folder: it
// knows one department, and who does not show a certificate may not call.
type secureHIS struct {
	folder string
	// env are the variables of the folder.
	env []string
	// expires is when both certificates do.
	expires time.Time
	// seen are the headers of its calls, in their order.
	seen chan http.Header
}

func newSecureHIS(t *testing.T) *secureHIS {
	t.Helper()
	h := &secureHIS{folder: t.TempDir(), seen: make(chan http.Header, 100)}
	signer := newAuthority(t, "signer")
	cert, key := signer.files("his")
	f := tlsFiles{TLSCert: cert, TLSKey: key, TLSClientCA: signer.write("ca.crt", "CERTIFICATE", signer.cert.Raw)}
	c, err := f.config()
	ok(t, err)
	h.expires = c.Certificates[0].Leaf.NotAfter
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if len(r.TLS.VerifiedChains) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		select {
		case h.seen <- r.Header:
		default:
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": "1", "no": "HIS1", "time": time.Now().UTC().Add(-time.Hour).Format(time.DateTime)})
	}))
	server.TLS = c
	server.StartTLS()
	t.Cleanup(server.Close)
	ours, oursKey := signer.files("hub")
	for name, from := range map[string]string{"ca.pem": f.TLSClientCA, "hub.pem": ours} {
		text, err := os.ReadFile(from)
		ok(t, err)
		h.write(t, name, string(text))
	}
	secret, err := os.ReadFile(oursKey)
	ok(t, err)
	h.env = []string{"H9_URL=" + server.URL, "H9_KEY=" + strings.ReplaceAll(string(secret), "\n", `\n`)}
	h.write(t, "hospital.yaml", `grammar: 1
hospital: h9
name: 测试医院
timezone: UTC
connectors: {default: {rest: {base: "${H9_URL}", tls: {ca: ca.pem, cert: hub.pem, key: "${H9_KEY}"}}}}
envelopes:
  default:
    write: {send: {$json: = body}}
    read: {answer: = from_json(body)}
    outcome: {ok: answer.ok == "1", rejected: answer.ok == "0"}
`)
	h.write(t, "prescription.yaml", `prescription.create:
  call: POST /prescription
  send: {no: = prescription.no, department: '= code("department", prescription.department_code)'}
  returns: {number: = prescription.no, his_no: = answer.no}
  repeat_safe: true
`)
	h.write(t, "dictionary.yaml", `system.time:
  call: POST /time
  send: {}
  returns: {time: '= from_time(answer.time, "yyyy-MM-dd HH:mm:ss")'}
`)
	h.write(t, "codes/department.csv", "ours,theirs\nD01,1\n")
	return h
}

func (h *secureHIS) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(h.folder, name)
	ok(t, os.MkdirAll(filepath.Dir(file), 0o755))
	ok(t, os.WriteFile(file, []byte(text), 0o600))
}
