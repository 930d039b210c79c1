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
	for _, table := range []*table{hospitalTable, limitsTable, envelopeTable, writeTable, readTable, outcomeTable, operationTable, stepTable, sessionTable, pageTable, inquireTable, partTable, listenerTable} {
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
		need("operation", string(c.Kind))
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
