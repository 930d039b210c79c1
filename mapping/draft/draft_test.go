package draft_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"hishub/core"
	"hishub/mapping"
	"hishub/mapping/draft"
)

func file(t testing.TB, name string) draft.File {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return draft.File{Name: name, Data: data}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return names
}

// open gives the open points of a drafted folder, and what else is wrong with it,
// which must be nothing.
func open(t testing.TB, f *draft.Folder) (points []string) {
	t.Helper()
	files := fstest.MapFS{}
	for name, data := range f.Files {
		files[name] = &fstest.MapFile{Data: data}
	}
	env := map[string]string{}
	for line := range strings.Lines(string(f.Files["env.sample"])) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			env[name] = value
		}
	}
	_, err := mapping.Load(files, mapping.Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	var mistakes mapping.Mistakes
	if err != nil && !errors.As(err, &mistakes) {
		t.Fatal(err)
	}
	for _, m := range mistakes {
		if m.Unfilled() {
			points = append(points, m.String())
		} else if !m.Warning {
			t.Errorf("%s\n%s", m, f.Files[m.File])
		}
	}
	return points
}

func TestWhateverIsDraftedLoadsButForItsOpenPoints(t *testing.T) {
	sources := map[string]draft.Sources{}
	for _, name := range glob(t, "testdata/openapi/*") {
		sources[name] = draft.Sources{OpenAPIs: []draft.File{file(t, name)}}
	}
	for _, name := range glob(t, "testdata/sql/*") {
		sources[name] = draft.Sources{Schemas: []draft.File{file(t, name)}}
	}
	all := draft.Sources{}
	for _, name := range glob(t, "testdata/samples/*.request.*") {
		s := draft.Sources{Samples: []draft.File{file(t, name)}}
		stem, _, _ := strings.Cut(name, ".")
		for _, answer := range glob(t, stem+".*response*") {
			s.Samples = append(s.Samples, file(t, answer))
		}
		sources[stem] = s
		all.Samples = append(all.Samples, s.Samples...)
	}
	all.OpenAPIs = []draft.File{file(t, "testdata/openapi/clinic30.yaml"), file(t, "testdata/openapi/form20.json")}
	all.Schemas = []draft.File{file(t, "testdata/sql/mysql.sql"), file(t, "testdata/sql/oracle.sql")}
	sources["all at once"] = all
	for name, s := range sources {
		t.Run(name, func(t *testing.T) {
			s.ID, s.Name = "lanxi", "兰溪医院"
			f, err := draft.New(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			points := open(t, f)
			want := 0
			for _, g := range f.Guesses {
				want += g.Open
			}
			if len(points) < want {
				t.Errorf("%d cells are said to be open, %d are listed", want, len(points))
			}
			if len(f.Guesses) == 0 {
				t.Error("nothing was recognised")
			}
		})
	}
}

// What the drafts must say, line by line: a guess that gets worse is seen.
func TestDraftedLines(t *testing.T) {
	for _, c := range []struct {
		name    string
		sources draft.Sources
		file    string
		lines   []string
	}{
		{"an OpenAPI file", draft.Sources{OpenAPIs: []draft.File{file(t, "testdata/openapi/clinic30.yaml")}}, "payment.yaml", []string{
			"call: POST /payments # clinic30.yaml:",
			"payAmount: = number(fen(payment.amount)) # guess; in fen",
			`payType: = code("pay_channel", payment.channel) # guess`,
			"inquire: payment.status",
			`state: = from_code("payment_state", answer.data.payStatus)`,
		}},
		{"parameters in the path", draft.Sources{OpenAPIs: []draft.File{file(t, "testdata/openapi/clinic30.yaml")}}, "bill.yaml", []string{
			`call: = "GET /visits/" + url(bill.visit_no) + "/unpaid"`, "$each: b in list(answer.rows)", "amount: = from_yuan(b.amount)", "$each: line in list(b.items)",
		}},
		{"a login", draft.Sources{OpenAPIs: []draft.File{file(t, "testdata/openapi/clinic30.yaml")}}, "hospital.yaml", []string{
			`Authorization: = "Bearer " + session.token`, "call: POST /auth/login", "token: = answer.accessToken", "password: = secret.password", `password: "${LANXI_PASSWORD}"`,
		}},
		{"comments of columns", draft.Sources{Schemas: []draft.File{file(t, "testdata/sql/mysql.sql")}}, "prescription.yaml", []string{
			"call: insert # mysql.sql:3", "hlw_cf:", "cfh: = prescription.no", "brid: = prescription.patient_no", "kfsj: = time(prescription.written_at, \"yyyyMMddHHmmss\")",
			"zddm: = first(prescription.diagnoses).code", "hlw_cf_mx:", "$each: item, n in prescription.items", "xh: = n", "ypdm: = item.code", "je: = yuan(item.amount)",
			"# id: TODO # the database fills it", "bz2: TODO", "inquire: prescription.status", "cfh = :cfh",
		}},
		{"a procedure", draft.Sources{Schemas: []draft.File{file(t, "testdata/sql/mysql.sql")}}, "refund.yaml", []string{
			"call: p_save_refund(in p_tkdh, in p_je, out o_code, out o_msg)", "p_tkdh: = refund.refund_no",
		}},
		{"documents in documents", draft.Sources{Samples: []draft.File{
			file(t, "testdata/samples/saveRecipe.request.http"), file(t, "testdata/samples/payNotify.request.http"),
			file(t, "testdata/samples/saveRecipe.response.json"), file(t, "testdata/samples/saveRecipe.failed.response.json"),
		}}, "hospital.yaml", []string{
			"service: = with.service", "orgCode: = const.organisation", "organisation: LX01", `ok: answer.code == "0"`, `rejected: answer.code == "500"`, "message: = answer.msg",
		}},
		{"HL7 v2", draft.Sources{Samples: []draft.File{file(t, "testdata/samples/prescribe.request.hl7"), file(t, "testdata/samples/prescribe.response.hl7")}}, "prescription.yaml", []string{
			"3: = prescription.patient_no", "5: = prescription.patient_name", "10: = left(attempt.id, 20)",
		}},
		{"a frame of GB18030", draft.Sources{Samples: []draft.File{file(t, "testdata/samples/saveCf.request.bin"), file(t, "testdata/samples/saveCf.response.bin")}}, "hospital.yaml", []string{
			"framing: {length: {digits: 8}}", "charset: GB18030", "req: = body", `ok: answer.retcode == "0"`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.sources.ID, c.sources.Name = "lanxi", "兰溪医院"
			f, err := draft.New(t.Context(), c.sources)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range c.lines {
				if !strings.Contains(string(f.Files[c.file]), line) {
					t.Errorf("no line %s in\n%s", line, f.Files[c.file])
				}
			}
		})
	}
}

// A path is known by what comes after versions and the like.
func TestTransactionsAreKnownByTheirPaths(t *testing.T) {
	for where, want := range map[string]core.Kind{
		"/v1/payment/settle": core.PaymentSettle, "/api/v1/pay": core.PaymentSettle, "/rest/V2.0/refunds": core.RefundCreate, "/open/api/service/v3_1/prescription": core.PrescriptionCreate,
		"/v1": "", "/api/v1/ping": "",
	} {
		f, err := draft.New(t.Context(), draft.Sources{ID: "lanxi", Name: "兰溪医院", OpenAPIs: []draft.File{{Name: "his.yaml", Data: []byte("openapi: 3.0.3\npaths:\n  " + where + ":\n    post: {responses: {\"200\": {description: ok}}}\n")}}})
		if err != nil {
			t.Fatal(err)
		}
		var got core.Kind
		for _, g := range f.Guesses {
			got += g.Kind
		}
		if got != want {
			t.Errorf("%s is %q, want %q", where, got, want)
		}
		if want != "" && !strings.Contains(string(f.Files[strings.Split(string(want), ".")[0]+".yaml"]), "call: POST "+where+" ") {
			t.Errorf("%s is not called as it is: %s", where, f.Files)
		}
	}
}

// A sample of which nothing is made is named, with the cure; by that it is used.
func TestASampleThatIsNotUsedIsNoted(t *testing.T) {
	request, answer := []byte(`{"ddh":"IH1","x7":"a"}`), []byte(`{"code":"0","zt":"1"}`)
	notes := func(names ...string) (*draft.Folder, string) {
		s := draft.Sources{ID: "lanxi", Name: "兰溪医院"}
		for i, name := range names {
			s.Samples = append(s.Samples, draft.File{Name: name, Data: [][]byte{request, answer}[i%2]})
		}
		f, err := draft.New(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return f, strings.Join(f.Notes, "\n")
	}
	f, got := notes("M17.request.json", "M17.response.json")
	for _, name := range []string{"M17.request.json", "M17.response.json"} {
		if want := name + " is not used: nothing tells which transaction it is; give it a name that begins with it, as payment.status.request.json"; !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if len(f.Guesses) != 0 {
		t.Errorf("%+v", f.Guesses)
	}
	f, got = notes("payment.status.request.json", "payment.status.response.json", "payment.status.absent.request.json", "payment.status.absent.response.json")
	if len(f.Guesses) != 1 || f.Guesses[0].Kind != core.PaymentStatus || f.Guesses[0].Cases != 2 || strings.Contains(got, "not used") {
		t.Errorf("%+v %q", f.Guesses, got)
	}
	if f.Files["cases/payment.status.absent/answer.json"] == nil || f.Files["cases/payment.status/sample.json"] == nil {
		t.Error("no cases of the named samples")
	}
	open(t, f)
	// A name wins over what looks alike.
	f, got = notes("SavePay.request.json", "SavePay.response.json", "payment.settle.request.json", "payment.settle.response.json")
	if len(f.Guesses) != 1 || f.Guesses[0].Why != "the name of payment.settle.request.json" || !strings.Contains(got, "SavePay.request.json is not used: payment.settle is drafted from payment.settle.request.json") {
		t.Errorf("%+v %q", f.Guesses, got)
	}
}

func TestACaseHoldsWhatTheSampleSays(t *testing.T) {
	f, err := draft.New(t.Context(), draft.Sources{ID: "lanxi", Name: "兰溪医院", Samples: []draft.File{
		file(t, "testdata/samples/saveRecipe.request.http"), file(t, "testdata/samples/saveRecipe.failed.response.json"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	message := string(f.Files["cases/prescription.create.failed/message.json"])
	for _, want := range []string{`"no": "RX1"`, `"patient_name": "张三"`, `"amount": 1250`, `"sex": "male"`, `"code": "Y1"`} {
		if !strings.Contains(message, want) {
			t.Errorf("no %s in %s", want, message)
		}
	}
	if got := string(f.Files["cases/prescription.create.failed/expect.yaml"]); !strings.HasPrefix(got, "outcome: rejected") {
		t.Errorf("expect.yaml: %s", got)
	}
}

func TestWhatCannotBeUsedSaysWhere(t *testing.T) {
	for _, c := range []struct{ kind, data, want string }{
		{"openapi", "", "x.in:1: the file is empty"},
		{"openapi", "<html><body>404</body></html>", "x.in:1: the file is XML or a page for browsers"},
		{"openapi", "{\"openapi\": \"3.0.0\",\n\"paths\": }", "x.in:2: not JSON"},
		{"openapi", "openapi: 3.0.0\npaths:\n  - a: [\n", "x.in:"},
		{"openapi", "openapi: 4.0.0\npaths: {}", "x.in:1: OpenAPI 4.0.0 is not known"},
		{"openapi", "a: b", "x.in:1: no OpenAPI file"},
		{"openapi", "openapi: 3.0.0\npaths: {}", "x.in:1: the file has no paths"},
		{"openapi", "\x00\x01", "x.in:1: the file is no text"},
		{"sql", "", "x.in:1: no CREATE TABLE"},
		{"sql", "<!doctype html>", "x.in:1: it is a page for browsers"},
		{"sql", "\xff\xfec\x00r\x00", "x.in:1: the file is"},
		{"sample", "", "x.in:1: the file is empty"},
		{"sample", "a\nb\x00c", "x.in:2: the file is not text"},
		{"sample", "a\n\xff\xff", "x.in:2: the file is text neither in UTF-8 nor in GB18030"},
		{"sample", "POST /x HTTP/1.1\r\nHost here\r\n\r\n{}", "x.in:2: a header of HTTP has no colon"},
	} {
		f := []draft.File{{Name: "x.in", Data: []byte(c.data)}}
		s := draft.Sources{ID: "x", Name: "x"}
		switch c.kind {
		case "openapi":
			s.OpenAPIs = f
		case "sql":
			s.Schemas = f
		default:
			s.Samples = f
		}
		if _, err := draft.New(t.Context(), s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %s", c.kind, c.data, err, c.want)
		}
	}
	if _, err := draft.New(t.Context(), draft.Sources{ID: "x", Name: "x"}); err == nil {
		t.Error("a folder was drafted from nothing")
	}
}
