package certify_test

import (
	"encoding/pem"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/mocks/resthis"
)

// Behind TLS the proxy sees nothing of what passes, and the drills strike all the same.
func TestDrillsBehindTLS(t *testing.T) {
	t.Parallel()
	his, env := xihu(t, resthis.Options{})
	target, err := url.Parse(env["XIHU_URL"])
	if err != nil {
		t.Fatal(err)
	}
	to := httputil.NewSingleHostReverseProxy(target)
	to.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	s := httptest.NewUnstartedServer(to)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	env["XIHU_URL"] = s.URL
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})

	folder := fstest.MapFS{"ca.pem": {Data: ca}}
	shipped := os.DirFS("../../../mapping/hospitals/xihu")
	err = fs.WalkDir(shipped, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(shipped, name)
		if name == "hospital.yaml" {
			data = []byte(strings.Replace(string(data), `base: "${XIHU_URL}",`, `base: "${XIHU_URL}", tls: {ca: ca.pem},`, 1))
		}
		folder[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c := run(t, "xihu", env, certify.Options{Files: folder, Only: []string{"A", "B", "C", "D", "E"}, Kinds: []core.Kind{core.PaymentSettle}})
	passes(t, c, append(each(drills, "payment.settle"), "B.tls default", "B.renew main", "E.detail")...)
	once(t, his.Books())
}
