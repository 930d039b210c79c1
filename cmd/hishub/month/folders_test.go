package month

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hishub/core"
)

// cutLength is how many characters of our order numbers beicheng keeps.
const cutLength = 10

// The folders are shipped for hospitals that answer within 10 s; a doubt is
// settled sooner here.
var quicker = [][2]string{{`timeout: 10s`, "timeout: 1s"}, {`settle_after: \d+s`, "settle_after: 2s"}, {`every: [15]s`, "every: 200ms"}}

// writeFolders copies the shipped folders with shorter times, with accounts at the
// channels and with rules of reconciliation of each hospital's own.
func (w *world) writeFolders(to string) {
	for _, h := range w.hospitals {
		at := filepath.Join(to, h.id)
		w.copyFolder(filepath.Join("..", "..", "..", "mapping", "hospitals", h.id), at, func(text string) string {
			for _, q := range quicker {
				text = regexp.MustCompile(q[0]).ReplaceAllString(text, q[1])
			}
			return text
		})
		hide(w, h, filepath.Join(at, "ledger.yaml"))
		keys := h.channel.Keys()
		must(w.T, "write a key", os.WriteFile(filepath.Join(at, "apiclient_key.pem"), []byte(keys.MerchantKey), 0o600))
		must(w.T, "write a key", os.WriteFile(filepath.Join(at, "wechat_pub.pem"), []byte(keys.PublicKey), 0o600))

		var b strings.Builder
		fmt.Fprintf(&b, "\nchannels:\n  wechat:\n    wechatpay:\n      base: %q\n      merchant: %q\n      serial: %q\n      key: apiclient_key.pem\n      public_key: wechat_pub.pem\n      public_key_id: %q\n      timeout: 2s\n",
			h.channel.URL(), keys.Merchant, keys.Serial, keys.PublicKeyID)
		if slices.Contains(h.ways, core.Channel("alipay")) {
			a := h.channel.AlipayKeys()
			must(w.T, "write a key", os.WriteFile(filepath.Join(at, "alipay_key.pem"), []byte(a.AppKey), 0o600))
			must(w.T, "write a key", os.WriteFile(filepath.Join(at, "alipay_pub.pem"), []byte(a.PublicKey), 0o600))
			fmt.Fprintf(&b, "  alipay:\n    alipay:\n      base: %q\n      app_id: %q\n      key: alipay_key.pem\n      public_key: alipay_pub.pem\n      ready: \"00:00\"\n      timeout: 2s\n",
				h.channel.AlipayURL(), a.App)
		}
		if slices.Contains(h.ways, core.Channel("bank")) {
			fmt.Fprintf(&b, "  bank:\n    file:\n      folder: %q\n      name: \"RBAS{yyyyMMdd}.txt\"\n      delimiter: \"|\"\n      header: none\n      columns: {number: \"2\", amount: \"3\", type: \"4\", at: \"6\", channel_no: \"8\"}\n"+
				"      types: {3: payment, 6: refund}\n      times: yyyyMMdd\n      first: \"{yyyyMMdd}|{count}|{amount}|\"\n", h.bankDir)
		}
		if h.id == "beicheng" {
			b.WriteString("  insurance: {ask: ledger.insurance}\n") // as shipped
		}
		fmt.Fprintf(&b, "\nreconcile:\n  at: %q\n%s", farOff, rules[h.id])
		file := filepath.Join(at, "hospital.yaml")
		text, err := os.ReadFile(file)
		must(w.T, "read a folder", err)
		text = shippedRules.ReplaceAll(text, nil)
		must(w.T, "write a folder", os.WriteFile(file, append(text, b.String()...), 0o644))
	}
}

// rules differ, so that all ways of comparing are lived through.
var rules = map[string]string{
	"dongshan": "  full_every: 1\n",
	"xihu":     "  his_clock: true\n  four_eyes_from: 20.00\n",
	"nanyuan":  "  full_every: 1\n  four_eyes_from: 50.00\n",
	"beicheng": "  operators: [net07]\n  full_every: 7\n",
	"lianhu":   "  full_every: 3\n  margin: 5m\n",
}

// shippedRules are those that a folder comes with, each in one line.
var shippedRules = regexp.MustCompile(`(?m)^(reconcile|channels): \{.*\}\n`)

// hide leaves of our order numbers what beicheng shall keep, as many hospitals do.
// nanyuan keeps none of them, by its own folder.
func hide(w *world, h *hospital, file string) {
	if h.id != "beicheng" {
		return
	}
	content, err := os.ReadFile(file)
	must(w.T, "read a ledger", err)
	text := strings.ReplaceAll(string(content), "row.ORDER_NO", fmt.Sprintf("left(row.ORDER_NO, %d)", cutLength))
	if text == string(content) {
		w.Fatalf("%s: nothing of its ledger could be hidden; has its folder changed?", h.id)
	}
	must(w.T, "write a ledger", os.WriteFile(file, []byte(text), 0o644))
}

func (w *world) copyFolder(from, to string, change func(string) string) {
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
	must(w.T, "copy a hospital's folder", err)
}
