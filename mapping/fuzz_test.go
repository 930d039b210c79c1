package mapping

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
)

// Whatever is written into a folder, loading it gives mistakes with a place.
func FuzzLoad(f *testing.F) {
	for _, name := range good {
		files := folder(f, name)
		for file, data := range files {
			if strings.HasSuffix(file, ".yaml") && !strings.Contains(file, "/") {
				f.Add(name, file, string(data.Data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, name, file, text string) {
		if !slices.Contains(good, name) || strings.Contains(file, "/") {
			return
		}
		files := folder(t, name)
		files[file] = &fstest.MapFile{Data: []byte(text)}
		mustNotPanic(t, files)
	})
}

func mustNotPanic(t *testing.T, files fstest.MapFS) {
	t.Helper()
	_, err := Load(files, Options{Env: environment, Open: open, OpenChannel: openChannel})
	var ms Mistakes
	if err != nil && !errors.As(err, &ms) {
		t.Fatalf("not Mistakes: %v", err)
	}
	for _, m := range ms {
		if m.File == "" || m.Line < 1 || m.Column < 1 || m.What == "" {
			t.Errorf("a mistake without a place or words: %+v", m)
		}
	}
}

// TestMutatedFolders breaks the good folders at random.
func TestMutatedFolders(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"{", "}", "[", "]", ":", ",", "= ", "\"", "'", "#", "\n", "\n  ", "- ", "|", "&a ", "*a", "!!x ", "$each: x in y", "$group: ", "?", "payment.amount", "nil", "(", ")", " + 1", "\x00", "\xff", "中", "~", "<<: "}
	for i := range 300 {
		name := good[i%len(good)]
		files := folder(t, name)
		var names []string
		for file := range files {
			if !strings.HasPrefix(file, "cases/") {
				names = append(names, file)
			}
		}
		slices.Sort(names)
		file := files[names[random.IntN(len(names))]]
		data := string(file.Data)
		for range 1 + random.IntN(3) {
			at := random.IntN(len(data) + 1)
			switch random.IntN(3) {
			case 0:
				data = data[:at] + pieces[random.IntN(len(pieces))] + data[at:]
			case 1:
				data = data[:at] + data[min(len(data), at+1+random.IntN(12)):]
			case 2:
				from := random.IntN(len(data) + 1)
				data = data[:at] + data[from:min(len(data), from+random.IntN(60))] + data[at:]
			}
		}
		file.Data = []byte(data)
		mustNotPanic(t, files)
	}
}

// Whatever a HIS answers, there is a verdict, and what is not understood is in
// doubt.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "<Response><ResultCode>0</ResultCode><InvoiceNo>1</InvoiceNo></Response>", `{"success":"1","dateset":{"rows":[{"fee":"x"}]}}`, "<a><b/><b/></a>", "\xff", "[1,2]"} {
		f.Add(s)
	}
	type said struct {
		kind core.Kind
		core.Step
	}
	var all []said
	for _, name := range good {
		for _, o := range load(f, folder(f, name)).Dialect.Operations {
			for _, s := range o.Steps {
				all = append(all, said{o.Kind, s})
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range all {
			c, _ := core.Lookup(s.kind)
			in := core.Input{Body: c.Body(), Stamp: stamp}
			for _, body := range []core.Value{text, core.Tree{{Name: "SaveFeeResult", Value: text}}, core.List{text, text}} {
				v := s.Mapper.Decode(in, core.Response{Body: body, Status: "200"})
				if v.Outcome == "" || v.Outcome == core.OutcomeInDoubt && v.Err == nil {
					t.Errorf("%s: no verdict: %+v", s.Name, v)
				}
			}
		}
	})
}
