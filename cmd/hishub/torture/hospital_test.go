package torture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"hishub/core"
	"hishub/mocks/books"
	"hishub/mocks/dbhis"
	"hishub/mocks/fault"
	"hishub/mocks/resthis"
	"hishub/mocks/soaphis"
)

// The folders are shipped for hospitals that answer within 10 s. These ones are
// quicker, so that a doubt is settled while one waits.
const (
	timeout     = "1s"
	settleAfter = "3s"
	// late is when a hospital acts on what it seemed to have dropped: after the
	// caller gave up, well before settle_after.
	late = fault.Delay(1200 * time.Millisecond)
)

// hospital is a fake one with its folder and its failures.
type hospital struct {
	id      string
	control string // address of its control port
	// neither answers inquiries nor knows repeats: at most once, then parked.
	neither bool
	// mayRepeat: what was done may be sent again, for it is booked once all the same.
	mayRepeat bool
	// inTables: its journal is kept by several hands and tells the order only to
	// the millisecond.
	inTables bool
	// writes are the requests of each kind of message; the one named last books it.
	writes map[core.Kind][]string
	// undo requests may follow those.
	undo    string
	asks    map[core.Kind]string
	rejects []fault.Rule // always in force: these messages are refused
	weather []fault.Rule // by rate, until the end
	struck  map[fault.Kind]int
}

var soapWrites = map[core.Kind][]string{
	core.PrescriptionCreate: {"SavePrescription"}, core.PrescriptionVoid: {"VoidPrescription"},
	core.PaymentSettle: {"PreSettle", "ConfirmSettle"}, core.RefundCreate: {"SaveRefund"},
}

var soapAsks = map[core.Kind]string{
	core.PrescriptionCreate: "QueryPrescription", core.PaymentSettle: "QueryPay", core.RefundCreate: "QueryRefund",
}

// rates gives each kind the same share of a tenth of all requests.
func rates(kinds ...fault.Kind) (rules []fault.Rule) {
	for _, k := range kinds {
		r := fault.Rule{Fault: k, Rate: 0.1 / float64(len(kinds))}
		switch k {
		case fault.Slow, fault.CutThenCommitLater, fault.LateVerdict:
			r.Delay = late
		}
		rules = append(rules, r)
	}
	return rules
}

// What acts late comes twice: only it shows that "absent" is not believed too early.
var httpWeather = rates(fault.Down, fault.Slow, fault.Slow, fault.Hang, fault.CutBefore, fault.CommitThenHang, fault.CutAfterCommit,
	fault.CutThenCommitLater, fault.CutThenCommitLater, fault.HTTP500, fault.SoapFault, fault.Garbled, fault.Truncated, fault.WrongCharset, fault.Busy, fault.DuplicateAnswer)

func reject(key string, operations ...string) (rules []fault.Rule) {
	for _, op := range operations {
		rules = append(rules, fault.Rule{Fault: fault.Reject, Operation: op, Key: key})
	}
	return rules
}

// openHospitals starts the four and applies nothing yet. It returns the
// environment that their folders ask for.
func (c *campaign) openHospitals(hisURL string) (env []string) {
	repeats := func(original books.Repeats) books.Repeats {
		if c.double {
			return books.Double
		}
		return original
	}
	// Long enough that a hub has requests on their way whenever it is struck.
	const latency = 150 * time.Millisecond
	rejectsSoap := append(reject(refusedKey, "SavePrescription", "PreSettle", "SaveRefund"), reject(refusedLateKey, "ConfirmSettle")...)

	east, err := soaphis.Start(c.ctx, soaphis.Options{Latency: latency, Seed: c.seed*10 + 1, Repeats: repeats(books.Refuse)})
	must(c.T, "start dongshan", err)
	c.Cleanup(func() { east.Close() })
	west, err := resthis.Start(c.ctx, resthis.Options{Latency: latency, Seed: c.seed*10 + 2, Repeats: repeats(books.Same)})
	must(c.T, "start xihu", err)
	c.Cleanup(func() { west.Close() })
	// Not double: that drops the unique keys, on which the folder's void relies.
	south, err := dbhis.Start(c.ctx, dbhis.Options{Driver: "postgres", DSN: hisURL, Latency: latency, Seed: c.seed*10 + 3})
	must(c.T, "start nanyuan", err)
	c.Cleanup(func() { south.Close() })
	north, err := soaphis.Start(c.ctx, soaphis.Options{Latency: latency, Seed: c.seed*10 + 4, Repeats: books.Double, Inquiry: "none"})
	must(c.T, "start beishan", err)
	c.Cleanup(func() { north.Close() })

	c.hospitals = []*hospital{
		{id: "dongshan", control: east.ControlURL(), writes: soapWrites, undo: "CancelPreSettle", asks: soapAsks, weather: httpWeather, rejects: rejectsSoap},
		{id: "xihu", control: west.ControlURL(), weather: httpWeather, rejects: reject(refusedKey, "RX001", "PAY001", "RF001"),
			writes: map[core.Kind][]string{core.PrescriptionCreate: {"RX001"}, core.PrescriptionVoid: {"RX002"}, core.PaymentSettle: {"PAY001"}, core.RefundCreate: {"RF001"}},
			asks:   map[core.Kind]string{core.PrescriptionCreate: "RX003", core.PaymentSettle: "PAY003", core.RefundCreate: "RF003"}},
		{id: "nanyuan", control: south.ControlURL(), inTables: true, rejects: reject(refusedKey, "zjk_cf_main", "zjk_jf_settle", "zjk_tf"),
			weather: rates(fault.Down, fault.Slow, fault.Slow, fault.Hang, fault.CutBefore, fault.CommitThenHang, fault.CutAfterCommit,
				fault.CutThenCommitLater, fault.CutThenCommitLater, fault.Garbled, fault.Truncated, fault.Busy, fault.DuplicateAnswer, fault.LateVerdict),
			writes: map[core.Kind][]string{core.PrescriptionCreate: {"zjk_cf_main"}, core.PrescriptionVoid: {"zjk_cf_zf"}, core.PaymentSettle: {"zjk_jf_settle"}, core.RefundCreate: {"zjk_tf"}}},
		{id: "beishan", control: north.ControlURL(), neither: true, writes: soapWrites, undo: "CancelPreSettle", asks: soapAsks, weather: httpWeather, rejects: rejectsSoap},
	}
	for _, h := range c.hospitals {
		h.struck = map[fault.Kind]int{}
	}
	return []string{
		"DONGSHAN_URL=" + east.URL(), "BEISHAN_URL=" + north.URL(),
		"XIHU_URL=" + west.URL(), "XIHU_USER=inet_hub", "XIHU_PASSWORD=xihu-test", "XIHU_NOTICE_KEY=xihu-notice-test",
		"NANYUAN_DRIVER=postgres", "NANYUAN_DSN=" + south.DSN(),
	}
}

// knowing are the lines of dongshan's folder that speak of repeats and inquiry:
// those of operations, and the rules of what is there already.
var knowing = regexp.MustCompile(`^  (inquire|repeat_safe|capture): |^ +outcome: \{already: `)

// writeFolders copies the shipped folders with shorter times, and makes beishan
// out of dongshan by taking away all that it knows of repeats and inquiry.
func (c *campaign) writeFolders(to string) {
	shipped := filepath.Join("..", "..", "..", "mapping", "hospitals")
	times := map[string]int{}
	quick := func(text string) string {
		for _, r := range []struct{ what, pattern, by string }{
			{"timeout", `timeout: 10s`, "timeout: " + timeout},
			{"settle_after", `settle_after: \d+s`, "settle_after: " + settleAfter},
			{"every", `every: 1s`, "every: 300ms"},
		} {
			at := regexp.MustCompile(r.pattern)
			times[r.what] += len(at.FindAllString(text, -1))
			text = at.ReplaceAllString(text, r.by)
		}
		return text
	}
	removed := 0
	ignorant := func(text string) string {
		text = strings.NewReplacer("hospital: dongshan", "hospital: beishan", "东山医院", "北山医院", "DONGSHAN_URL", "BEISHAN_URL").Replace(text)
		var kept []string
		for _, line := range strings.SplitAfter(text, "\n") {
			// The undo of a step stays repeatable: the grammar has no other undo.
			if knowing.MatchString(line) {
				removed++
				continue
			}
			kept = append(kept, line)
		}
		return strings.Join(kept, "")
	}
	for name, change := range map[string]func(string) string{
		"dongshan": quick, "xihu": quick, "nanyuan": quick, "beishan": func(s string) string { return ignorant(quick(s)) },
	} {
		from := name
		if name == "beishan" {
			from = "dongshan"
		}
		copyFolder(c, filepath.Join(shipped, from), filepath.Join(to, name), change)
	}
	for what, n := range times {
		if n < 2 {
			c.Fatalf("shorten the shipped folders: %s was found %d times", what, n)
		}
	}
	if removed < 8 {
		c.Fatalf("make beishan: only %d lines of dongshan's folder speak of repeats and inquiry", removed)
	}
}

func copyFolder(c *campaign, from, to string, change func(string) string) {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "cases" {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".yaml" {
			text = []byte(change(string(text)))
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o644)
	})
	must(c.T, "copy a hospital's folder", err)
}

// fail replaces the failures by rate; what is refused stays refused.
func (h *hospital) fail(c *campaign, weather []fault.Rule) {
	var before []fault.Rule
	h.ask(c, http.MethodGet, "/faults", nil, &before)
	for _, r := range before {
		h.struck[r.Fault] += r.Hits
	}
	h.ask(c, http.MethodDelete, "/faults", nil, nil)
	h.ask(c, http.MethodPost, "/faults", append(append([]fault.Rule{}, h.rejects...), weather...), nil)
}

func (h *hospital) books(c *campaign) (b books.Export) {
	h.ask(c, http.MethodGet, "/books", nil, &b)
	return b
}

// ask talks to the control port, which no failure touches.
func (h *hospital) ask(c *campaign, method, path string, in, out any) {
	c.Helper()
	body, err := json.Marshal(in)
	must(c.T, "write "+path, err)
	rq, err := http.NewRequestWithContext(c.ctx, method, h.control+path, bytes.NewReader(body))
	must(c.T, "ask "+h.id, err)
	answer, err := http.DefaultClient.Do(rq)
	must(c.T, "ask "+h.id, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		c.Fatalf("%s: %s %s: %s", h.id, method, path, answer.Status)
	}
	if out != nil {
		must(c.T, fmt.Sprintf("read %s of %s", path, h.id), json.NewDecoder(answer.Body).Decode(out))
	}
}
