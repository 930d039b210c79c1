package certify_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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

	folder := edited(t, "xihu", `base: "${XIHU_URL}",`, `base: "${XIHU_URL}", tls: {ca: ca.pem},`)
	folder["ca.pem"] = &fstest.MapFile{Data: ca}
	c := run(t, "xihu", env, certify.Options{Files: folder, Only: []string{"A", "B", "C", "D", "E"}, Kinds: []core.Kind{core.PaymentSettle}})
	passes(t, c, append(each(drills, "payment.settle"), "B.tls default", "B.renew main", "E.detail")...)
	once(t, his.Books())
}
