package certify_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/resthis"
)

// A HIS that is wrong in one way must fail at exactly the item that proves that
// way. The wrong ones are the fake of 西湖 behind a wrapper that lies for it.

// wrapped is the fake with its requests and answers in somebody's hands.
func wrapped(t *testing.T, o resthis.Options, lie func(code string, body []byte, next http.Handler, w http.ResponseWriter, r *http.Request) bool) map[string]string {
	t.Helper()
	_, env := xihu(t, o)
	target, err := url.Parse(env["XIHU_URL"])
	if err != nil {
		t.Fatal(err)
	}
	to := httputil.NewSingleHostReverseProxy(target)
	to.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the request did not come whole
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !lie(r.Header.Get("code"), body, to, w, r) {
			to.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	env["XIHU_URL"] = s.URL
	return env
}

// empty is the HIS's answer to a question about what it does not have.
func empty(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_, _ = io.WriteString(w, `{"msgid":"`+r.Header.Get("msgid")+`","success":1,"msgtext":"","dateset":null}`)
}

var money = []core.Kind{core.PaymentSettle}

// A HIS that knows nothing of what it took: every item that asks it says so.
func TestAnInquiryThatAlwaysSaysNo(t *testing.T) {
	t.Parallel()
	env := wrapped(t, resthis.Options{}, func(code string, _ []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		if code != "PAY003" {
			return false
		}
		empty(w, r)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "D"}, Kinds: money})
	fails(t, c, append(each([]string{"D.swallowed", "D.late", "D.garbage", "D.truncated", "D.down", "D.cut", "D.blackhole"}, "payment.settle"), "C.done payment.settle")...)
}

// One that says done to everything, and no amount.
func TestAnInquiryThatAlwaysSaysYes(t *testing.T) {
	t.Parallel()
	number := regexp.MustCompile(`"orderNo":"([^"]*)"`)
	env := wrapped(t, resthis.Options{}, func(code string, body []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		m := number.FindSubmatch(body)
		if code != "PAY003" || m == nil {
			return false
		}
		_, _ = io.WriteString(w, `{"msgid":"`+r.Header.Get("msgid")+`","success":1,"msgtext":"","dateset":{"orderNo":"`+string(m[1])+`","payState":"1"}}`)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "D"}, Kinds: money})
	fails(t, c, append(each([]string{"D.down", "D.cut", "D.blackhole"}, "payment.settle"), "C.absent payment.settle", "C.done payment.settle")...)
}

// One that loses after it said yes: only the ledger of the day and the question
// about it tell.
func TestOneThatLosesAfterItsYes(t *testing.T) {
	t.Parallel()
	order := regexp.MustCompile(`"orderNo":"([^"]*)"`)
	env := wrapped(t, resthis.Options{}, func(code string, body []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		if code != "PAY001" {
			return false
		}
		m := order.FindSubmatch(body)
		_, _ = io.WriteString(w, `{"msgid":"`+r.Header.Get("msgid")+`","success":1,"msgtext":"","dateset":{"orderNo":"`+string(m[1])+`","hisPayNo":"P1","totalFee":null}}`)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "E"}, Kinds: money})
	fails(t, c, "C.done payment.settle", "C.amount payment.settle", "E.detail", "E.total")
}

// One that books what it could not answer for a second time, when it is sent again
// after an inquiry that came too early: it doubles what was cut.
func TestRepeatsThatDoubleMoney(t *testing.T) {
	t.Parallel()
	his, env := xihu(t, resthis.Options{Repeats: books.Double})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "E"}, Kinds: money})
	fails(t, c, "C.repeat payment.settle", "C.amount payment.settle", "E.detail", "E.total")
	if n := len(his.Books().Settlements); n < 2 {
		t.Errorf("%d settlements: it did not double", n)
	}
}

// A ledger that leaves one out, and one that differs each time.
func TestLedgersThatAreWrong(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	first := regexp.MustCompile(`\{[^{}]*"orderNo"[^{}]*\},?`)
	env := wrapped(t, resthis.Options{}, func(code string, _ []byte, next http.Handler, w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(code, "LED") && !strings.HasPrefix(code, "BILL") && !strings.HasPrefix(code, "ACC") {
			return false
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		if loc := first.FindIndex(body); loc != nil && asked.Add(1)%2 == 1 {
			body = append(bytes.Clone(body[:loc[0]]), body[loc[1]:]...)
			body = bytes.ReplaceAll(body, []byte(",]"), []byte("]"))
		}
		_, _ = w.Write(body)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "E"}, Kinds: money})
	fails(t, c, "E.detail", "E.twice")
}

// A token that the HIS refuses for ever.
func TestALoginThatIsNeverRenewed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	good := ""
	env := wrapped(t, resthis.Options{}, func(code string, _ []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		token := r.Header.Get("token")
		if token == "" {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if good == "" {
			good = token
		}
		if token == good {
			return false
		}
		_, _ = io.WriteString(w, `{"msgid":"`+r.Header.Get("msgid")+`","success":1001,"msgtext":"token","dateset":null}`)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"B"}})
	fails(t, c, "B.renew main")
}

// Where nobody listens, nothing is proved, and everything that was tried says so.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	his, env := xihu(t, resthis.Options{})
	_ = his.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := certify.Options{Only: []string{"B"}, Timeout: 200 * time.Millisecond, Lang: "en"}
	o.Files = os.DirFS("../../../mapping/hospitals/xihu")
	o.Folder = load(t, o.Files, env)
	c, err := certify.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	fails(t, c, "B.answers default")
}
