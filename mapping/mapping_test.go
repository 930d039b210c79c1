package mapping

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"hishub/core"
)

// environment of all test folders.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"DONGSHAN_URL": "http://127.0.0.1:1/his", "XIHE_URL": "http://127.0.0.1:1/his", "NANSHAN_URL": "http://127.0.0.1:1", "NANSHAN_PASSWORD": "not-a-real-one",
		"BEISHAN_URL": "http://127.0.0.1:1", "BEISHAN_MERCHANT": "1900000001", "BEISHAN_V3_KEY": "not-a-real-v3-key", "BEISHAN_ALIPAY_KEY": "not-a-real-pem",
	}[name]
	return v, ok
}

// paper is a connector that writes down what it was to carry: the operation,
// headers, query and the body as JSON-like text. A recorded answer is text, or
// "name: text" lines between <<< and >>>.
type paper struct{ operations map[string][]core.Parameter }

func (paper) Close() error { return nil }

func (paper) Call(context.Context, core.Request) (core.Response, error) {
	return core.Response{}, &core.Fault{Class: core.Unavailable, Op: "paper", Err: errors.New("paper carries nothing")}
}

func (p paper) Describe(operation string) (core.Shape, error) {
	if p.operations == nil {
		return core.Shape{}, nil
	}
	parameters, ok := p.operations[operation]
	if !ok {
		cure := didYouMean(operation, slices.Collect(maps.Keys(p.operations)))
		return core.Shape{}, fmt.Errorf("the WSDL has no operation %q; %s", operation, cure)
	}
	return core.Shape{Operation: operation, Parameters: parameters}, nil
}

func (paper) Write(q core.Request) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintln(&b, q.Operation)
	for _, h := range q.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	for _, h := range q.Query {
		fmt.Fprintf(&b, "?%s=%s\n", h.Name, h.Value)
	}
	fmt.Fprintln(&b)
	b.WriteString(show(q.Body))
	return []byte(b.String()), nil
}

// show spells a value so that all kinds of leaves can be told apart.
func show(v core.Value) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return v
	case core.Token:
		return "token " + string(v)
	case core.CData:
		return "cdata " + string(v)
	case core.Raw:
		return "raw " + string(v)
	case core.List:
		var parts []string
		for _, e := range v {
			parts = append(parts, show(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case core.Tree:
		var parts []string
		for _, f := range v {
			parts = append(parts, f.Name+"="+show(f.Value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprintf("%T?", v)
}

// Read gives a body as text; a JSON object becomes parameters.
func (paper) Read(_ core.Request, answer []byte) (core.Response, error) {
	r := core.Response{Status: "200", Body: string(answer)}
	var parameters map[string]string
	if json.Unmarshal(answer, &parameters) == nil && strings.HasPrefix(string(answer), `{"SOAP`) {
		delete(parameters, "SOAP")
		tree := core.Tree{}
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			tree = append(tree, core.Field{Name: name, Value: parameters[name]})
		}
		r.Body = tree
	}
	return r, nil
}

// theirWSDL is what the paper connectors of the test folders know.
var theirWSDL = map[string][]core.Parameter{
	"SaveFee":                {{Name: "clinicCode", Required: true}, {Name: "recipeNo"}, {Name: "operCode"}, {Name: "payMode"}, {Name: "totCost", Required: true}},
	"QueryFee":               {{Name: "clinicCode"}, {Name: "orderNo"}},
	"GetFeeListByClinicCode": {{Name: "clinicCode"}},
}

func open(spec core.ConnectorSpec) (core.Connector, error) {
	var ps core.Problems
	if c, ok := spec.Options["charset"].(string); ok && c != "UTF-8" && c != "GB18030" {
		ps = append(ps, core.Problem{Field: "charset", What: fmt.Sprintf("there is no charset %q, there are UTF-8 and GB18030", c)})
	}
	if err := ps.OrNil(); err != nil {
		return nil, err
	}
	if spec.Kind == "soap" && spec.Options["unwrap"] == false {
		return paper{theirWSDL}, nil
	}
	return paper{}, nil
}

// openChannel knows the options of accounts, as the real ones do.
func openChannel(spec core.ConnectorSpec) (core.Connector, error) {
	known := map[string][]string{"wechatpay": {"merchant", "serial", "key", "api_v3_key"}, "alipay": {"app", "key"}, "file": {"folder"}}[spec.Kind]
	var ps core.Problems
	for _, o := range slices.Sorted(maps.Keys(spec.Options)) {
		if !slices.Contains(known, o) {
			ps = append(ps, core.Problem{Field: o, What: "there is no such option"})
		}
	}
	if err := ps.OrNil(); err != nil {
		return nil, err
	}
	return paper{}, nil
}

// good are the test folders without mistakes.
var good = []string{"dongshan", "xihe", "nanshan", "beishan", "lihe"}

// folder reads a test folder into memory, so that tests can change it.
func folder(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	root := filepath.Join("testdata", "good", name)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err == nil {
			rel, _ := filepath.Rel(root, p)
			out[filepath.ToSlash(rel)] = &fstest.MapFile{Data: data}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func load(t testing.TB, files fs.FS) *Folder {
	t.Helper()
	f, err := Load(files, Options{Env: environment, Open: open, OpenChannel: openChannel})
	if err != nil {
		t.Fatalf("the folder has mistakes:\n%v", err)
	}
	return f
}

var stamp = core.Stamp{
	Key: "K1", Time: time.Date(2026, 1, 5, 10, 0, 0, 0, time.FixedZone("", 8*3600)),
	ID: "0123456789abcdef0123456789abcdef", At: time.Date(2026, 1, 5, 10, 0, 1, 0, time.FixedZone("", 8*3600)), Serial: 7, Number: 1,
}

func payment() *core.Payment {
	return &core.Payment{
		OrderID: "IH20260105000002", VisitNo: "V0000345678", PatientNo: "0000024772", PatientName: "张三测试", Bills: []string{"00012", "00013"},
		Amount: 2150, Channel: "wechat", ChannelNo: "4200000000", PaidAt: time.Date(2026, 1, 5, 9, 59, 0, 0, time.FixedZone("", 8*3600)),
	}
}

func TestGoodFoldersLoad(t *testing.T) {
	for _, name := range good {
		f := load(t, folder(t, name))
		if len(f.Warnings) > 0 {
			t.Errorf("%s: unexpected warnings:\n%v", name, Mistakes(f.Warnings))
		}
	}
}

func body(t *testing.T, q core.Request) string { return show(q.Body) }

func TestTypedParametersAreWritten(t *testing.T) {
	d := load(t, folder(t, "dongshan")).Dialect
	q, err := d.Operations[core.PaymentSettle].Steps[0].Mapper.Encode(core.Input{Body: payment(), Stamp: stamp})
	if err != nil {
		t.Fatal(err)
	}
	want := "{clinicCode=V0000345678 recipeNo=00012,00013 operCode=net07 payMode=WX totCost=21.50}"
	if q.Operation != "SaveFee" || body(t, q) != want {
		t.Errorf("got %s %s\nwant %s", q.Operation, body(t, q), want)
	}
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// A connector's timeout reaches whoever enforces it.
func TestTimeoutOfAConnector(t *testing.T) {
	d := load(t, folder(t, "dongshan")).Dialect
	if got := d.Connectors["default"].Timeout; got != 30*time.Second {
		t.Errorf("%s without the option", got)
	}
	files := folder(t, "dongshan")
	text := string(files["hospital.yaml"].Data)
	files["hospital.yaml"].Data = []byte(strings.Replace(text, "soap: {", "soap: {timeout: 7s, ", 1))
	if got := load(t, files).Dialect.Timeout("default"); got != 7*time.Second {
		t.Errorf("%s with timeout: 7s", got)
	}
}
