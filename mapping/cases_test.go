package mapping

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestCasesOfGoodFolders(t *testing.T) {
	for name, want := range map[string]int{"dongshan": 4, "xihe": 2, "nanshan": 1} {
		results := load(t, folder(t, name)).RunCases()
		if len(results) != want {
			t.Errorf("%s: %d cases ran, want %d", name, len(results), want)
		}
		for _, r := range results {
			if !r.Passed() {
				t.Errorf("%s: %s:\n%s", name, r.Name, strings.Join(r.Differences, "\n"))
			}
		}
	}
}

// A case that does not hold must say so.
func TestCasesThatFail(t *testing.T) {
	const settle = "cases/payment.settle/"
	for name, c := range map[string]struct{ file, old, new, want string }{
		"bytes":           {settle + "request.txt", "21.50", "21.5", "request.txt: line 3 differs\n  expected \"{clinicCode"},
		"outcome":         {settle + "expect.yaml", "outcome: ok", "outcome: already", "payment.settle: outcome: expected already, got ok"},
		"rule":            {settle + "expect.yaml", "rule: ok", "rule: rejected", `rule: expected "rejected", got "ok"`},
		"captured":        {settle + "expect.yaml", `receipt_no: "0099"`, `receipt_no: "0098"`, "captured: line 2 differs"},
		"returns":         {settle + "expect.yaml", `amount: 2150`, `amount: 2151`, `returns: line 2 differs`},
		"unknown key":     {settle + "expect.yaml", `outcome: ok`, "outcomes: ok", "expect.yaml: "},
		"words":           {"cases/payment.settle.already/expect.yaml", "该处方已收费", "该处方", `words: expected "该处方", got "该处方已收费"`},
		"not invalid":     {"cases/payment.settle.unmapped/message.json", "points", "wechat", "should be invalid"},
		"other reason":    {"cases/payment.settle.unmapped/expect.yaml", "points", "coins", "should be invalid for"},
		"unknown field":   {settle + "message.json", "order_id", "order", "message.json: order: no such field"},
		"answer is bad":   {settle + "answer.json", "</ROOT>", "", "outcome: expected ok, got in_doubt (decode payment.settle: rule already: hospital.yaml:10:"},
		"no request file": {settle + "request.txt", "", "", "there is no request.*; what is sent is\nSaveFee"},
	} {
		t.Run(name, func(t *testing.T) {
			files := folder(t, "dongshan")
			f := files[c.file]
			if !strings.Contains(string(f.Data), c.old) {
				t.Fatalf("%s does not hold %q", c.file, c.old)
			}
			if c.old == "" {
				delete(files, c.file)
			} else {
				files[c.file] = &fstest.MapFile{Data: []byte(strings.Replace(string(f.Data), c.old, c.new, 1))}
			}
			var all []string
			for _, r := range load(t, files).RunCases() {
				all = append(all, r.Differences...)
			}
			if len(all) != 1 || !strings.Contains(all[0], c.want) {
				t.Errorf("got\n%s\nwant one with\n%s", strings.Join(all, "\n"), c.want)
			}
		})
	}
}

func TestArchive(t *testing.T) {
	files := folder(t, "dongshan")
	a, digest, err := Archive(files)
	if err != nil {
		t.Fatal(err)
	}
	b, again, _ := Archive(files)
	if string(a) != string(b) || digest != again {
		t.Error("the same folder gives two archives")
	}
	unpacked, err := Unpack(a)
	if err != nil {
		t.Fatal(err)
	}
	if f := load(t, unpacked); f.Dialect.Digest != digest {
		t.Error("the digest changed on the way")
	}
	files["payment.yaml"].Data = append(files["payment.yaml"].Data, '\n')
	if _, other, _ := Archive(files); other == digest {
		t.Error("another folder has the same digest")
	}
	files[".git/config"] = &fstest.MapFile{Data: []byte("x")}
	if _, other, _ := Archive(files); other == digest {
		t.Error("hidden files count")
	}
	if _, err := Unpack([]byte("no archive")); err == nil {
		t.Error("anything can be unpacked")
	}
}
