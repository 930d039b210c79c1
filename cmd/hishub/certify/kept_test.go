package certify_test

import (
	"io"
	"net/http"
	"net/http/httptest"
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

// A yes alone keeps nothing: these HISs say yes and then do not hold what they
// should, or will not say what they hold.

var (
	rxNo     = regexp.MustCompile(`"rxNo":"([^"]*)"`)
	orderNo  = regexp.MustCompile(`"orderNo":"([^"]*)"`)
	totalFee = regexp.MustCompile(`"totalFee":"?[0-9.]+"?`)
	paid     = regexp.MustCompile(`,"totalFee":"?[0-9.]+"?`)
)

// yes is the HIS's answer to a prescription that it takes.
func yes(w http.ResponseWriter, r *http.Request, body []byte) {
	no := string(rxNo.FindSubmatch(body)[1])
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_, _ = io.WriteString(w, `{"msgid":"`+r.Header.Get("msgid")+`","success":1,"msgtext":"","dateset":{"rxNo":"`+no+`","hisRxNo":"Z`+no+`","totalFee":null}}`)
}

// changed is the true answer with one thing replaced.
func changed(next http.Handler, w http.ResponseWriter, r *http.Request, what *regexp.Regexp, by string) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	_, _ = w.Write(what.ReplaceAll(rec.Body.Bytes(), []byte(by)))
}

func because(t *testing.T, c *certify.Certificate, id, part string) {
	t.Helper()
	if it := c.Find(id); it == nil || !strings.Contains(strings.Join(it.Why, "; "), part) {
		t.Errorf("%s does not say %q: %+v", id, part, it)
	}
}

// One that takes what comes alone and loses what comes at the same time.
func TestOneThatLosesWhatComesAtOnce(t *testing.T) {
	t.Parallel()
	var inside, lost atomic.Int64
	crowd := make(chan struct{})
	env := wrapped(t, resthis.Options{}, func(code string, body []byte, next http.Handler, w http.ResponseWriter, r *http.Request) bool {
		if code != "RX001" {
			return false
		}
		if inside.Add(1) > 1 {
			lost.Add(1)
			yes(w, r, body)
			if lost.Load() == 1 {
				close(crowd)
			}
			return true
		}
		select { // the first one stays until another is there
		case <-crowd:
		case <-time.After(200 * time.Millisecond):
		}
		next.ServeHTTP(w, r)
		inside.Store(0)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"H"}, Kinds: []core.Kind{core.PrescriptionCreate}})
	fails(t, c, "H.parallel")
	because(t, c, "H.parallel", "the HIS says absent")
}

// One that loses one of the messages with rare characters.
func TestOneThatLosesRareCharacters(t *testing.T) {
	t.Parallel()
	env := wrapped(t, resthis.Options{}, func(code string, body []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		if code != "RX001" || !strings.Contains(string(body), "䶮") {
			return false
		}
		yes(w, r, body)
		return true
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"G"}, Kinds: []core.Kind{core.PrescriptionCreate}})
	fails(t, c, "G.rare prescription.create")
}

// One that drops the first when the same comes again.
func TestOneThatForgetsWhatIsRepeated(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	sent := map[string]int{}
	env := wrapped(t, resthis.Options{}, func(code string, body []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		m := rxNo.FindSubmatch(body)
		if m == nil {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		switch code {
		case "RX001":
			sent[string(m[1])]++
		case "RX003":
			if sent[string(m[1])] > 1 {
				empty(w, r)
				return true
			}
		}
		return false
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C"}, Kinds: []core.Kind{core.PrescriptionCreate}})
	fails(t, c, "C.repeat prescription.create")
}

// One whose inquiry has another amount, and one whose inquiry has none.
func TestInquiriesWithoutOurAmount(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		what    *regexp.Regexp
		by, why string
	}{
		"another": {totalFee, `"totalFee":"999.99"`, "it has another amount"},
		"none":    {paid, "", "the HIS does not say the amount"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := wrapped(t, resthis.Options{}, func(code string, _ []byte, next http.Handler, w http.ResponseWriter, r *http.Request) bool {
				if code != "PAY003" {
					return false
				}
				changed(next, w, r, x.what, x.by)
				return true
			})
			c := run(t, "xihu", env, certify.Options{Only: []string{"C"}, Kinds: money})
			fails(t, c, "C.done payment.settle")
			because(t, c, "C.done payment.settle", x.why)
		})
	}
}

// One that knows what it took when it is asked at once, and not any more when it is
// asked again, so that it is sent again, and booked again.
func TestOneThatIsSentAgainThoughItHasIt(t *testing.T) {
	t.Parallel()
	type way struct{ sent, asked int }
	var mu sync.Mutex
	ways := map[string]*way{}
	env := wrapped(t, resthis.Options{Repeats: books.Double}, func(code string, body []byte, _ http.Handler, w http.ResponseWriter, r *http.Request) bool {
		m := orderNo.FindSubmatch(body)
		if m == nil {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		x := ways[string(m[1])]
		if x == nil {
			x = &way{}
			ways[string(m[1])] = x
		}
		switch {
		case code == "PAY001":
			x.sent++
		case code == "PAY003" && x.sent == 1:
			if x.asked++; x.asked > 1 {
				empty(w, r)
				return true
			}
		}
		return false
	})
	c := run(t, "xihu", env, certify.Options{Only: []string{"D"}, Kinds: money})
	all := each([]string{"D.swallowed", "D.late", "D.garbage", "D.truncated"}, "payment.settle")
	fails(t, c, all...)
	for _, id := range all {
		because(t, c, id, "the HIS had it, and it was sent 2 times")
	}
}
