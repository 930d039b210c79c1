package certify_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"hishub/cmd/hishub/certify"
	"hishub/core"
	"hishub/mocks/resthis"
)

// private is what nobody may read in a report: secrets of the folder and the
// patient of its cases.
var private = []string{"xihu-test", "xihu-notice", "张三测试", "999999199001010016", "1990-01-01"}

// The report is one page that needs nothing else, and tells no secret and no patient.
func TestTheReport(t *testing.T) {
	t.Parallel()
	_, env := xihu(t, resthis.Options{})
	c := run(t, "xihu", env, certify.Options{Only: []string{"A", "B", "C", "G"}, Kinds: []core.Kind{core.PrescriptionCreate}, Version: "1.2.3"})
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for lang, title := range map[string]string{"zh": "接口符合性测试报告", "en": "Conformance certificate"} {
		c.Lang = lang
		var out bytes.Buffer
		if err := c.HTML(&out); err != nil {
			t.Fatal(err)
		}
		page := out.String()
		for _, want := range []string{title, "西湖医院", c.Digest, "1.2.3", "XIHU_PASSWORD", c.Endpoints[0], "rxNo", "@page { size: A4"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: %q is not in the report", lang, want)
			}
		}
		for _, never := range []string{"<script", "http://", "https://", "src="} {
			if strings.Contains(page, never) {
				t.Errorf("%s: %q is in the report", lang, never)
			}
		}
		for _, never := range private {
			if strings.Contains(page, never) || strings.Contains(string(asJSON), never) {
				t.Errorf("%s: %q is in the report or its JSON", lang, never)
			}
		}
		wellFormed(t, page)
	}
}

// wellFormed reads the page as XML but for what HTML leaves open.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A report of a hospital where money may not move says that it was not tried.
func TestWithoutMoney(t *testing.T) {
	t.Parallel()
	his, env := xihu(t, resthis.Options{})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "D", "E"}, Kinds: []core.Kind{core.PaymentSettle, core.RefundCreate}, Money: "no"})
	for _, it := range c.Items {
		if it.Result != certify.NotTried && it.Result != certify.NotApplicable && it.Check != "E.twice" {
			t.Errorf("%s: %s", it.ID, it.Result)
		}
	}
	if b := his.Books(); len(b.Settlements)+len(b.Refunds) > 0 {
		t.Error("money moved")
	}
}

// What the run cannot take back is listed.
func TestWhatIsLeft(t *testing.T) {
	t.Parallel()
	his, env := xihu(t, resthis.Options{})
	c := run(t, "xihu", env, certify.Options{Only: []string{"C", "E"}})
	left := map[string]bool{}
	for _, l := range c.Left {
		left[l.Number] = true
	}
	b := his.Books()
	voided := map[string]bool{}
	for _, v := range b.Voids {
		voided[v.No] = true
	}
	for _, p := range b.Prescriptions {
		if voided[p.No] == left[p.No] {
			t.Errorf("prescription %s: voided %v, listed as left %v", p.No, voided[p.No], left[p.No])
		}
	}
	if len(b.Settlements) == 0 || len(b.Settlements) != len(b.Refunds) {
		t.Errorf("%d payments, %d of them given back", len(b.Settlements), len(b.Refunds))
	}
}
