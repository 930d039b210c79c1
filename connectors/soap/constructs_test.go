package soap

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func from(t testing.TB, folder, wsdl string, more map[string]any) core.Connector {
	t.Helper()
	options := map[string]any{"endpoint": "http://lab.example/", "wsdl": wsdl}
	for k, v := range more {
		options[k] = v
	}
	c, err := Open(core.ConnectorSpec{Options: options, Files: os.DirFS("testdata/" + folder)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func list(values ...core.Value) core.List { return values }

func f(name string, v core.Value) core.Field { return core.Field{Name: name, Value: v} }

// call is what a golden of another stack says, in the folder's words.
type call struct {
	golden, folder, wsdl string
	options              map[string]any
	operation            string
	body                 core.Value
}

var calls = []call{
	{"wrapped.zeep-4.2.1.xml", "lab", "lab.wsdl", nil, "Submit", zeeped()},
	{"document-typed-parts.zeep-4.2.1.xml", "", "bare.wsdl", nil, "Typed", tree{f("l", tree{f("c", "1")}), f("p", "v")}},
	{"document-typed-parts.php-8.2.36.xml", "", "bare.wsdl", nil, "Typed", tree{f("l", tree{f("c", "1")}), f("p", "v")}},
	{"document-typed-part.zeep-4.2.1.xml", "", "bare.wsdl", nil, "One", tree{f("c", "1")}},
	{"document-typed-part.php-8.2.36.xml", "", "bare.wsdl", nil, "One", tree{f("c", "1")}},
	{"rpc-literal.zeep-4.2.1.xml", "", "rpc.wsdl", map[string]any{"port": "Literal"}, "Put", put},
	{"rpc-literal.php-8.2.36.xml", "", "rpc.wsdl", map[string]any{"port": "Literal"}, "Put", put},
	{"rpc-encoded.php-8.2.36.xml", "", "rpc.wsdl", map[string]any{"port": "Encoded"}, "Add", add},
	{"rpc-encoded-1.2.php-8.2.36.xml", "", "rpc.wsdl", map[string]any{"version": "1.2"}, "Add", add},
}

var (
	// Out of order on purpose: the WSDL decides.
	submit = tree{
		f("note", nil), f(".major", "1"), f(".origin", "O"), f(".id", "7"), f(".lang", "zh"),
		f("by", "dr"), f("bed", "3"), f("ward", "W"), f("id", "P1"),
		f("code", "A"), f("value", "1.5"), f("code", "B"), f("value", "2"),
		f("patient", tree{f(".xsi:type", "Child"), f(".sex", "F"), f("mother", tree{f("code", "c2"), f("name", "Mother Test")}), f("name", "Zhang San Test"), f("code", "c1")}),
		f("size", "12"), f("flags", list("new", "done")), f("status", "new"),
		f("drug", tree{f("dose", tree{f(".unit", "mg"), f(core.TextName, "2.5")}), f("label", "D1")}), f("test", tree{f("label", "T1")}), f("drug", tree{f("label", "D2"), f("dose", tree{f(".unit", "g"), f(core.TextName, "1")})}),
		f("tree", tree{f("label", "root"), f("branch", list(tree{f(".depth", "1"), f("label", "a"), f("branch", tree{f("label", "aa")})}, tree{f("label", "b")}))}),
		f("wish", tree{f("only", "w"), f(".a", "1")}),
	}
	// zeep cannot choose the second branch, nor members of a substitution group.
	zeeped = func() tree {
		out := tree{f("scheme", "S")}
		for _, x := range submit {
			switch x.Name {
			case "ward", "bed", "drug", "test":
			default:
				out = append(out, x)
			}
		}
		return out
	}
	put  = tree{f("plain", tree{f("word", list("x", "y")), f("code", "C")}), f("no", "1")}
	line = tree{f("qty", "2"), f("code", "A"), f("next", tree{f("code", "B"), f("qty", "3")})}
	add  = tree{f("urgent", core.Token("true")), f("line", line), f("words", list("x", "y")), f("lines", tree{f("item", list(line, tree{f("code", "C"), f("qty", "1")}))}), f("no", "1")}
)

// The goldens were written by other stacks from the same WSDL and the same
// values (testdata/golden/README.md); names, namespaces, order, types and texts
// must be the same, prefixes need not.
func TestOtherStacksWriteTheSame(t *testing.T) {
	for _, x := range append(calls, recipes()...) {
		t.Run(x.golden, func(t *testing.T) {
			golden, err := os.ReadFile("testdata/golden/" + x.golden)
			if err != nil {
				t.Fatal(err)
			}
			_, body := written(t, from(t, x.folder, x.wsdl, x.options), core.Request{Operation: x.operation, Body: x.body})
			if diff := cmp.Diff(expanded(t, string(golden)), expanded(t, body)); diff != "" {
				t.Errorf("%s\n%s", body, diff)
			}
		})
	}
}

// expanded is what a document says: names with their namespaces, attributes, and
// qualified values with theirs, one a line.
func expanded(t *testing.T, document string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(document))
	prefixes := []map[string]string{{}}
	var lines []string
	in := false
	for {
		token, err := d.Token()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			own := map[string]string{}
			for k, v := range prefixes[len(prefixes)-1] {
				own[k] = v
			}
			for _, a := range token.Attr {
				if a.Name.Space == "xmlns" {
					own[a.Name.Local] = a.Value
				}
			}
			prefixes = append(prefixes, own)
			in = in || token.Name.Local == "Body"
			if !in {
				continue
			}
			var attributes []string
			for _, a := range token.Attr {
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" || a.Name.Local == "encodingStyle" {
					continue
				}
				value := a.Value
				if prefix, local, ok := strings.Cut(value, ":"); ok && (a.Name.Local == "type" || a.Name.Local == "arrayType" || a.Name.Local == "itemType") {
					value = "{" + own[prefix] + "}" + local
				}
				attributes = append(attributes, " @{"+a.Name.Space+"}"+a.Name.Local+"="+value)
			}
			lines = append(lines, strings.Repeat(" ", len(prefixes))+"{"+token.Name.Space+"}"+token.Name.Local+sortedJoin(attributes))
		case xml.EndElement:
			prefixes = prefixes[:len(prefixes)-1]
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" && in {
				lines = append(lines, "= "+text)
			}
		}
	}
}

func sortedJoin(s []string) string {
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return strings.Join(s, "")
}

func TestConstructsThatAreRefused(t *testing.T) {
	for _, x := range []struct {
		folder, wsdl, operation string
		body                    core.Value
		want                    string
	}{
		{"", "bare.wsdl", "RpcEl", tree{}, "the rpc style with a part that is an element, which stacks write in different ways (bare.wsdl:3:"},
		{"lab", "lab.wsdl", "Redefined", tree{}, "xs:redefine (xsd/order.xsd:7:3)"},
		{"lab", "lab.wsdl", "Lost", tree{}, "the element {urn:lab}Wrod that is declared nowhere (abstract.wsdl:16:31); there is Word"},
		{"lab", "lab.wsdl", "Asked", tree{}, "begins with the HIS"},
		{"lab", "lab.wsdl", "Strange", tree{}, "the encoded use in document style (lab.wsdl:"},
		{"", "rpc.wsdl", "Grid", tree{}, "an array of several dimensions, xsd:int[,] (rpc.wsdl:12:"},
		{"lab", "lab.wsdl", "Submit", with("patient", tree{f("name", "x")}), "the type Person is abstract; write .xsi:type: with one of Adult, Child"},
		{"lab", "lab.wsdl", "Submit", with("patient", tree{f(".xsi:type", "Chidl")}), "no type Chidl; did you mean Child?"},
		{"lab", "lab.wsdl", "Submit", with("status", "nwe"), "status: the WSDL allows new, done only"},
		{"lab", "lab.wsdl", "Submit", with("size", "enormous"), ""},
		{"lab", "lab.wsdl", "Submit", with("flags", list("new", "old")), "flags: the WSDL allows new, done only"},
		{"lab", "lab.wsdl", "Submit", with("scheme", "s"), "the WSDL allows one of (id, scheme), (id, ward, bed) only"},
		{"lab", "lab.wsdl", "Submit", with("wish", tree{f("more", "1")}), "no parameter wish.more; there are only"},
		{"lab", "lab.wsdl", "Submit", with("wish", tree{f("only", "1"), f(".b", "1")}), "no attribute b"},
		{"lab", "lab.wsdl", "Submit", with(".format", "M"), "attribute format: the WSDL allows L only"},
		{"lab", "lab.wsdl", "Submit", with("Extra", tree{f("a", "1")}), "its xs:any takes no more, or other namespaces, which .xmlns: in it says"},
		{"lab", "lab.wsdl", "Submit", with("code", list("A", "B", "C")), "belong together cannot be told"},
		{"lab", "lab.wsdl", "Submit", with("item", tree{f("label", "1")}), "no parameter item"},
	} {
		t.Run(x.operation+" "+x.want, func(t *testing.T) {
			options := map[string]any{}
			_, err := from(t, x.folder, x.wsdl, options).(core.Offline).Write(core.Request{Operation: x.operation, Body: x.body})
			if x.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v\nmust say %q", err, x.want)
			}
		})
	}
}

// with is the whole message with one thing otherwise.
func with(name string, v core.Value) tree {
	out := tree{}
	for _, x := range submit {
		if x.Name == name || name == "code" && x.Name == "value" {
			continue
		}
		out = append(out, x)
	}
	if name == "code" {
		out = append(out, f("value", list("1", "2")))
	}
	return append(out, f(name, v))
}

// What stands where, for content models that a map of names does not decide at once.
func TestPlaces(t *testing.T) {
	const el = `<x:element name="`
	seq := func(more string, names ...string) string {
		s := "<x:sequence" + more + ">"
		for _, n := range names {
			if strings.HasPrefix(n, "<") {
				s += n
			} else if name, ok := strings.CutSuffix(n, "?"); ok {
				s += el + name + `" type="x:string" minOccurs="0"/>`
			} else if name, ok := strings.CutSuffix(n, "*"); ok {
				s += el + name + `" type="x:string" minOccurs="0" maxOccurs="unbounded"/>`
			} else {
				s += el + n + `" type="x:string"/>`
			}
		}
		return s + "</x:sequence>"
	}
	const many = ` minOccurs="0" maxOccurs="unbounded"`
	choice := func(more string, parts ...string) string {
		s := seq(more, parts...)
		return "<x:choice" + s[len("<x:sequence"):len(s)-len("</x:sequence>")] + "</x:choice>"
	}
	one := func(names ...string) tree {
		var out tree
		for i, n := range names {
			out = append(out, f(n, fmt.Sprint(i)))
		}
		return out
	}
	for name, x := range map[string]struct {
		model string
		given tree
		want  string // names and values, or the error after "!"
	}{
		"one by one":                        {seq(many, "a", "b?"), one("a", "a", "b", "a"), "a0 a1 b2 a3"},
		"optional first":                    {seq(many, "a?", "b"), one("b", "a", "b"), "b0 a1 b2"},
		"rounds in another order":           {seq(many, "a", "b"), one("b", "a", "b", "a"), "a1 b0 a3 b2"},
		"lists are zipped":                  {seq(many, "a", "b"), tree{f("b", list("1", "2")), f("a", list("x", "y"))}, "ax b1 ay b2"},
		"lists of other lengths":            {seq(many, "a", "b?"), tree{f("b", list("1")), f("a", list("x", "y"))}, "!belong together cannot be told"},
		"a list in a round":                 {seq(many, "a", "b*"), one("a", "b", "b", "a", "b"), "a0 b1 b2 a3 b4"},
		"a list in a round, given as lists": {seq(many, "a", "b*"), tree{f("a", list("1", "2")), f("b", list("x", "y"))}, "!belong together cannot be told"},
		"half a round":                      {seq(many, "a", "b"), one("a", "b", "a"), "!wants parameter b"},
		"too many rounds":                   {seq(` maxOccurs="2"`, "a"), one("a", "a", "a"), "!1 to 2 times, not 3"},
		"no round":                          {seq(` maxOccurs="2"`, "a"), nil, "!wants one of a"},
		"the same name twice":               {seq("", "a", "b", "a"), tree{f("b", "x"), f("a", list("1", "2"))}, "a1 bx a2"},
		"the same name once too often":      {seq("", "a", "b", "a"), tree{f("b", "x"), f("a", list("1", "2", "3"))}, "!no place for all of a"},
		"choices as they come":              {choice(many, "a", "b"), one("b", "a", "b"), "b0 a1 b2"},
		"choices of groups":                 {choice(many, seq("", "a", "b"), "c"), one("a", "b", "c", "a", "b"), "a0 b1 c2 a3 b4"},
		"a group in a group in rounds":      {seq(many, seq("", "a")), one("a", "a"), "a0 a1"},
		"branches with a name in common":    {choice("", seq("", "a", "b"), seq("", "a", "c")), one("c", "a"), "a1 c0"},
		"a branch that lacks something":     {choice("", seq("", "a", "b"), seq("", "a", "c")), one("a"), "!allows one of"},
		"one branch is empty":               {choice("", seq("", "a"), seq("")), nil, ""},
		"a fixed one by itself":             {seq("", `<x:element name="a" type="x:string" fixed="F"/>`), nil, "aF"},
		"a default is asked for":            {seq("", `<x:element name="a" type="x:string" default="D"/>`), nil, `!empty for its default "D"`},
		"at least two":                      {seq("", `<x:element name="a" type="x:string" minOccurs="2" maxOccurs="3"/>`), one("a"), "!at least 2 of a, not 1"},
		"any, of other names":               {seq("", "a", `<x:any namespace="##local" maxOccurs="2"/>`, "b"), one("b", "q", "a", "p"), "a2 q1 p3 b0"},
		"any that is missing":               {seq("", "a", `<x:any/>`), one("a"), "!an element of any name"},
		"anyType":                           {seq("", `<x:element name="a"/>`), tree{f("a", tree{f(".q", "1"), f("b", tree{f("c", "2")})})}, "a b c2"},
		"anyType of text":                   {seq("", `<x:element name="a" type="x:anyType"/>`), one("a"), "a0"},
		"anyType that says its type":        {seq("", `<x:element name="a" type="x:anyType"/>`), tree{f("a", tree{f(".xsi:type", "xsd:int"), f(core.TextName, "5")})}, "a5"},
		"mixed text":                        {seq("", `<x:element name="a"><x:complexType mixed="true"><x:sequence><x:any minOccurs="0"/></x:sequence></x:complexType></x:element>`), one("a"), "a0"},
		"raw content":                       {seq("", `<x:element name="a"><x:complexType><x:sequence><x:any/></x:sequence></x:complexType></x:element>`), tree{f("a", core.Raw("<q>1</q>"))}, "a q1"},
		"a .NET data set":                   {seq("", `<x:element name="a"><x:complexType><x:sequence><x:element ref="x:schema"/><x:any/></x:sequence></x:complexType></x:element>`), tree{f("a", tree{f("diffgram", tree{f("row", "1")}), f("schema", tree{f("element", nil)})})}, "a schema element diffgram row1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := opened(map[string]string{"w.wsdl": small("", x.model)})
			if err != nil {
				t.Fatal(err)
			}
			b, err := c.(core.Offline).Write(core.Request{Operation: "Do", Body: x.given})
			if want, ok := strings.CutPrefix(x.want, "!"); ok {
				if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, must say %s\n%s", err, want, b)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(string(b), "\n\n")
			var got []string
			for _, line := range expanded(t, body)[2:] {
				if text, ok := strings.CutPrefix(line, "= "); ok {
					got[len(got)-1] += text
					continue
				}
				_, name, _ := strings.Cut(line, "}")
				name, _, _ = strings.Cut(name, " ")
				got = append(got, name)
			}
			if diff := cmp.Diff(x.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBodiesWithoutWrapper(t *testing.T) {
	c := from(t, "lab", "lab.wsdl", map[string]any{"header": map[string]any{"Session": map[string]any{"key": "k"}}})
	for name, x := range map[string]struct {
		q    core.Request
		want string
	}{
		"one text":            {core.Request{Operation: "Ping", Body: "a<b"}, `<soap:Body><Word xmlns="urn:lab">a&lt;b</Word></soap:Body>`},
		"one text by name":    {core.Request{Operation: "Ping", Body: tree{f("Word", "a")}}, `<soap:Body><Word xmlns="urn:lab">a</Word></soap:Body>`},
		"nothing":             {core.Request{Operation: "Nothing"}, `<soap:Body></soap:Body>`},
		"two parts":           {core.Request{Operation: "Pair", Body: tree{f("Number", "2"), f("Word", "a")}}, `<soap:Body><Word xmlns="urn:lab">a</Word><Number xmlns="urn:lab">2</Number></soap:Body>`},
		"a header takes one":  {core.Request{Operation: "Store", Body: tree{f("name", "n"), f("file", "AAEC")}}, `<soap:Header><Session xmlns="urn:lab"><key>k</key></Session></soap:Header><soap:Body><Store xmlns="urn:lab"><file>AAEC</file><name xmlns="">n</name></Store></soap:Body>`},
		"a header of its own": {core.Request{Operation: "Store", Body: tree{f(".soap:Header", tree{f("Session", tree{f("key", "fresh")})}), f("name", "n"), f("file", "AAEC")}}, `<soap:Header><Session xmlns="urn:lab"><key>fresh</key></Session></soap:Header>`},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := written(t, c, x.q)
			if !strings.Contains(body, x.want) {
				t.Errorf("got %s\nwant %s", body, x.want)
			}
		})
	}
	r, err := c.(core.Offline).Read(core.Request{Operation: "Pair"}, []byte(enveloped(`<Word>a</Word><Number>2</Number>`)))
	if diff := cmp.Diff(tree{f("Word", "a"), f("Number", "2")}, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestHeaderBlocksOfAnswers(t *testing.T) {
	c := from(t, "lab", "lab.wsdl", nil).(core.Offline)
	r, err := c.Read(core.Request{Operation: "Submit"}, []byte(`<S:Envelope xmlns:S="x"><S:Header><Session S:mustUnderstand="1"><key>k</key></Session></S:Header><S:Body><R><no>1</no></R></S:Body></S:Envelope>`))
	if err != nil {
		t.Fatal(err)
	}
	blocks, _ := r.Headers.Get("soap_header").(tree)
	session, _ := blocks.Get("Session").(tree)
	if session.Get("key") != "k" || r.Body != "1" {
		t.Errorf("%v %v", r.Headers, r.Body)
	}
}

func TestOneWay(t *testing.T) {
	c := from(t, "lab", "lab.wsdl", nil).(core.Offline)
	for answer, fine := range map[string]bool{"HTTP/1.1 202 Accepted\n\n": true, "HTTP/1.1 200 OK\n\n": true, "HTTP/1.1 200 OK\n\n" + enveloped(""): true, "HTTP/1.1 500 Oops\n\n": false, "<html/>": false} {
		r, err := c.Read(core.Request{Operation: "Tell"}, []byte(answer))
		if (err == nil) != fine || r.Body != nil {
			t.Errorf("%q: %v %v", answer, r.Body, err)
		}
	}
	if _, err := c.Read(core.Request{Operation: "Ping"}, []byte("HTTP/1.1 202 Accepted\n\n")); core.ClassOf(err) != core.InDoubt {
		t.Errorf("an answer that must be there is not: %v", err)
	}
	if r, err := c.Read(core.Request{Operation: "Tell"}, []byte("HTTP/1.1 500 Oops\n\n"+enveloped(`<S:Fault><faultcode>c</faultcode></S:Fault>`))); err != nil || r.Error != "fault" {
		t.Error(r, err)
	}
}

func TestAddressing(t *testing.T) {
	for option, want := range map[any]string{
		true:   `<wsa:Action xmlns:wsa="http://www.w3.org/2005/08/addressing">urn:lab:submit</wsa:Action><wsa:MessageID xmlns:wsa="http://www.w3.org/2005/08/addressing">urn:uuid:00000000-0000-4000-8000-000000000000</wsa:MessageID><wsa:ReplyTo xmlns:wsa="http://www.w3.org/2005/08/addressing"><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address></wsa:ReplyTo><wsa:To xmlns:wsa="http://www.w3.org/2005/08/addressing">http://lab.example/x?key=***</wsa:To>`,
		"2004": `<wsa:Action xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing">urn:lab:submit</wsa:Action>`,
	} {
		c := from(t, "lab", "lab.wsdl", map[string]any{"addressing": option, "endpoint": "http://u:p@lab.example/x?key=secret"})
		_, body := written(t, c, core.Request{Operation: "Submit", Body: submit})
		if !strings.Contains(body, "<soap:Header>"+want) || strings.Contains(body, "secret") {
			t.Error(body)
		}
	}
}

// A WSDL that is of no use without WS-Addressing gets it, unless the folder says no.
func TestAddressingThatTheWSDLWants(t *testing.T) {
	wsdl := strings.Replace(small("", `<x:sequence/>`), "<binding ", `<binding xmlns:w="http://www.w3.org/2006/05/addressing/wsdl" xmlns:d="http://schemas.xmlsoap.org/wsdl/" `, 1)
	wsdl = strings.Replace(wsdl, `<s:binding`, `<w:UsingAddressing d:required="true"/><s:binding`, 1)
	for option, want := range map[any]bool{nil: true, false: false, true: true} {
		c, err := Open(core.ConnectorSpec{Options: map[string]any{"endpoint": "http://h/", "wsdl": "w.wsdl", "addressing": option}, Files: fstest.MapFS{"w.wsdl": {Data: []byte(wsdl)}}})
		if err != nil {
			t.Fatal(err)
		}
		_, body := written(t, c, core.Request{Operation: "Do"})
		if strings.Contains(body, ">do</wsa:Action>") != want {
			t.Error(option, body)
		}
	}
}
