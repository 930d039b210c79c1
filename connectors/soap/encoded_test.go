package soap

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hishub/core"
)

func TestReferencesInEncodedAnswers(t *testing.T) {
	const wire = `<ns:AddResponse xmlns:ns="urn:ward" S:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><return href="#id0"/><more xsi:type="xsd:int">2</more></ns:AddResponse>` +
		`<multiRef id="id0" e:root="0" xsi:type="x:Lines" e:arrayType="x:Line[2]"><item href="#id1"/><item href="#id1"/></multiRef>` +
		`<multiRef id="id1" e:root="0" xsi:type="x:Line"><code xsi:type="xsd:string">A</code><next xsi:nil="true"/></multiRef>`
	line := tree{f("code", "A"), f("next", nil), f(".type", "x:Line")}
	sorted := tree{f(".type", "x:Line"), line[0], line[1]}
	want := tree{f("return", tree{f(".type", "x:Lines"), f("item", list(sorted, sorted))}), f("more", "2")}
	for name, c := range map[string]core.Offline{
		"a WSDL":    from(t, "", "rpc.wsdl", map[string]any{"port": "Encoded"}).(core.Offline),
		"no WSDL":   open(t, map[string]any{"endpoint": "http://h/", "namespace": "n"}).(core.Offline),
		"first too": nil,
	} {
		answer := enveloped(wire)
		if c == nil {
			c = from(t, "", "rpc.wsdl", map[string]any{"port": "Encoded"}).(core.Offline)
			parts := strings.SplitAfter(wire, "</ns:AddResponse>")
			answer = enveloped(parts[1] + parts[0])
		}
		r, err := c.Read(core.Request{Operation: "Add"}, []byte(answer))
		if diff := cmp.Diff(want, r.Body); err != nil || diff != "" {
			t.Error(name, err, diff)
		}
	}
	c := from(t, "", "rpc.wsdl", map[string]any{"port": "Encoded"}).(core.Offline)
	bomb := `<R><a href="#i0"/></R>`
	for i := range 64 {
		bomb += fmt.Sprintf(`<m id="i%d"><a href="#i%d"/><b href="#i%d"/></m>`, i, i+1, i+1)
	}
	bomb += `<m id="i64"><a>1</a></m>`
	for answer, want := range map[string]string{
		enveloped(`<R><a href="#x"/></R>`):                             `refers to "x", which is not in it`,
		enveloped(`<R><a href="#x"/></R><m id="x"><b href="#x"/></m>`): "refers to itself",
		enveloped(bomb): "more values than can be read",
	} {
		_, err := c.Read(core.Request{Operation: "Add"}, []byte(answer))
		if core.ClassOf(err) != core.InDoubt || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, must say %q", err, want)
		}
	}
}

func TestAttachments(t *testing.T) {
	c := from(t, "lab", "lab.wsdl", map[string]any{"mtom": true})
	head, body := written(t, c, core.Request{Operation: "Store", Body: tree{f("name", "n"), f("file", "AAEC\nAw==")}})
	if !strings.Contains(head, `Content-Type: multipart/related; type="application/xop+xml"; boundary="hishub-00000000000000000000000000000000"; start="<root@hishub>"; start-info="text/xml"`) {
		t.Error(head)
	}
	if !strings.Contains(body, `<file><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:1@hishub"/></file>`) || !strings.Contains(body, "Content-ID: <1@hishub>\r\n\r\n\x00\x01\x02\x03\r\n--hishub-") {
		t.Errorf("%q", body)
	}
	_, err := c.(core.Offline).Write(core.Request{Operation: "Store", Body: tree{f("name", "n"), f("file", "not base64!")}})
	if core.ClassOf(err) != core.Invalid || !strings.Contains(err.Error(), "file: is not base64") {
		t.Error(err)
	}
	answer := "HTTP/1.1 200 OK\nContent-Type: multipart/related; boundary=\"b\"; start=\"<a@b>\"; type=\"application/xop+xml\"\n\n--b\r\nContent-ID: <x y@b>\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\xff\r\n\r\n--b\r\nContent-ID: <a@b>\r\nContent-Type: application/xop+xml\r\n\r\n" +
		enveloped(`<R><file><xop:Include href="cid:x%20y@b"/></file><no>1</no></R>`) + "\r\n--b--\r\n"
	r, err := c.(core.Offline).Read(core.Request{Operation: "Store"}, []byte(answer))
	if diff := cmp.Diff(tree{f("file", "AP8NCg=="), f("no", "1")}, r.Body); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, broken := range map[string]string{
		"no such part": strings.Replace(answer, "<x y@b>", "<z@b>", 1),
		"cut":          answer[:len(answer)-60],
		"no boundary":  strings.Replace(answer, `boundary="b"`, "", 1),
	} {
		if _, err := c.(core.Offline).Read(core.Request{Operation: "Store"}, []byte(broken)); core.ClassOf(err) != core.InDoubt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func problems(t *testing.T, err error) core.Problems {
	t.Helper()
	var ps core.Problems
	if !errors.As(err, &ps) {
		t.Fatalf("got %v", err)
	}
	return ps
}

// A client of the encoded use, Axis 1 among them, calls us with references, and
// wants to be told the type of the result.
func TestListenerOfTheEncodedUse(t *testing.T) {
	listening, err := Listen(core.ListenerSpec{Options: map[string]any{"wsdl": "rpc.wsdl"}, Files: os.DirFS("testdata"), Calls: []string{"Add"}})
	if err != nil {
		t.Fatal(err)
	}
	body := enveloped(`<n:Add xmlns:n="urn:ward:calls"><no xsi:type="xsd:string">1</no><line href="#a"/></n:Add><multiRef id="a" e:root="0"><code xsi:type="xsd:string">C</code></multiRef>`)
	a, err := listening.Wire.Read(core.Incoming{Method: "POST", Path: "/", Body: []byte(body)})
	if diff := cmp.Diff(tree{f("no", "1"), f("line", tree{f("code", "C")})}, a.Body); err != nil || a.Call != "Add" || diff != "" {
		t.Error(a.Call, err, diff)
	}
	out, err := listening.Wire.Write(a, core.Reply{Body: "done"})
	if err != nil || !strings.Contains(string(out.Body), `<m:AddResponse xmlns:m="urn:ward:calls" soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"`) || !strings.Contains(string(out.Body), `<return xsi:type="xsd:string">done</return></m:AddResponse>`) {
		t.Errorf("%v %s", err, out.Body)
	}
	// A body that is one element is answered by one.
	listening, err = Listen(core.ListenerSpec{Options: map[string]any{"wsdl": "lab.wsdl"}, Files: os.DirFS("testdata/lab"), Calls: []string{"Ping"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err = listening.Wire.Read(core.Incoming{Method: "POST", Path: "/", Body: []byte(enveloped(`<Word xmlns="urn:lab">hello</Word>`))})
	if err != nil || a.Call != "Ping" || a.Body != "hello" {
		t.Error(a, err)
	}
	out, err = listening.Wire.Write(a, core.Reply{Body: "there"})
	if err != nil || !strings.Contains(string(out.Body), `<soap:Body><Word xmlns="urn:lab">there</Word></soap:Body>`) {
		t.Errorf("%v %s", err, out.Body)
	}
}
