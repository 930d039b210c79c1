package mapping

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
	"hishub/mapping/formats"
	"hishub/mapping/functions"
)

// The reference must name all that there is.
func TestTheReferenceIsComplete(t *testing.T) {
	data, err := os.ReadFile("../docs/hospital-folder.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	need := func(kind, name string) {
		t.Helper()
		for _, form := range []string{"`" + name + "`", "`" + name + "(", "`" + name + ":", name + "`,", "." + name + "`", "{" + name, ", " + name, " " + name + "`"} {
			if strings.Contains(text, form) {
				return
			}
		}
		t.Errorf("docs/hospital-folder.md does not speak of the %s %s", kind, name)
	}
	for _, table := range []*table{hospitalTable, limitsTable, envelopeTable, writeTable, readTable, outcomeTable, operationTable, stepTable, sessionTable, pageTable, inquireTable, partTable, listenerTable, channelsTable, transitTable, reconcileTable} {
		for _, k := range table.keys {
			need("key of "+table.name, k.name)
		}
	}
	for _, f := range functions.For(time.UTC) {
		need("function", f.Name)
	}
	for _, kind := range formats.All {
		need("format", kind.Name)
		for _, o := range kind.Options {
			need("option of "+kind.Name, o.Name)
		}
	}
	for _, c := range core.Catalogue {
		if mapped(c) {
			need("operation", string(c.Kind))
		}
	}
	for _, word := range []string{"$each", "$when", "$value", "$group", "$cdata", "$raw", "$text"} {
		need("word", word)
	}
}

// Its first folder must load.
func TestTheFirstFolderOfTheReference(t *testing.T) {
	data, err := os.ReadFile("../docs/hospital-folder.md")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"codes/pay_channel.csv": {Data: []byte("ours,theirs\nwechat,WX\nalipay,ZFB\nunionpay,YL\ninsurance,YB\nbank,CH\ncash,CA\n")},
		"codes/pay_state.csv":   {Data: []byte("ours,theirs\ndone,1\nabsent,0\n")},
	}
	for _, block := range strings.Split(string(data), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for _, name := range []string{"hospital.yaml", "payment.yaml"} {
			if strings.HasPrefix(block, "# "+name+"\n") {
				files[name] = &fstest.MapFile{Data: []byte(block)}
			}
		}
	}
	load(t, files)
}

// Its accounts, its night and its ledger must load, put into one folder.
func TestTheNightOfTheReference(t *testing.T) {
	data, err := os.ReadFile("../docs/hospital-folder.md")
	if err != nil {
		t.Fatal(err)
	}
	hospital := "grammar: 1\nhospital: dongshan\nname: 东山医院\nconnectors: {default: {rest: {base: \"http://127.0.0.1:1\"}}}\n" +
		"envelopes: {default: {read: {answer: = from_xml(body).Response}, outcome: {ok: answer.ResultCode == \"0\"}}}\n"
	ledger, blocks := "ledger.insurance: {call: POST /yb, returns: {entries: []}}\n", 0
	for _, block := range strings.Split(string(data), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		switch {
		case strings.HasPrefix(block, "# in hospital.yaml\nchannels:"), strings.HasPrefix(block, "# in hospital.yaml\nreconcile:"):
			hospital += block
			blocks++
		case strings.HasPrefix(block, "# in ledger.yaml\n"):
			ledger += block
			blocks++
		}
	}
	if blocks != 3 {
		t.Fatalf("%d of the three examples are there", blocks)
	}
	f, err := Load(fstest.MapFS{
		"hospital.yaml": {Data: []byte(hospital)}, "ledger.yaml": {Data: []byte(ledger)},
		"codes/entry_type.csv":  {Data: []byte("ours,theirs\npayment,1\nrefund,2\n")},
		"pay/apiclient_key.pem": {Data: []byte("a key")}, "pay/pub_key.pem": {Data: []byte("a public key")},
	}, Options{Env: func(name string) (string, bool) { return "value of " + name, true }, Open: open})
	if err != nil {
		t.Fatal(err)
	}
	if n := f.Dialect.Night; n.Cut != 17*60 || n.Excluded == nil || len(f.Dialect.Channels) != 4 {
		t.Errorf("got %+v %v", n, f.Dialect.Channels)
	}
}
