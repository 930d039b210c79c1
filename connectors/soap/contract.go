package soap

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/hooklift/gowsdl"

	"hishub/connectors/option"
	"hishub/core"
)

// contract is what a WSDL says about the operations of its bindings of one
// version of SOAP.
type contract struct {
	file       string
	version    version
	operations map[string]*operation
}

type operation struct {
	name   string
	action string
	// input is the wrapper of the parameters. One without a name is no wrapper: what
	// is in it stands in the body itself.
	input   *element
	output  *element // nil if the WSDL has none that we know
	encoded bool
	// oneWay: the HIS gives no answer but HTTP's.
	oneWay bool
	// several: the body of the answer has several children that belong together.
	several bool
	// headers are the blocks that soap:header binds to the request.
	headers []*element
	// addressed is the action of WS-Addressing.
	addressed string
	// mustAddress: the binding is of no use without WS-Addressing.
	mustAddress bool
	// unknown says why the operation cannot be called, and where.
	unknown string
	// where it is bound, and all that its bytes depend on there.
	ports   []string
	meaning string
}

// describeDepth ends the description of types that hold themselves.
const describeDepth = 8

// readContract reads a WSDL and the files that it imports from the folder. The
// words of the WSDL are gowsdl's; reading is ours, because gowsdl loses prefixes
// and places, knows one version of SOAP, and keeps only a part of a schema, in
// which order is everything. port picks one of several ports, or bindings; ""
// takes them all.
func readContract(files fs.FS, file string, v version, port string) (*contract, error) {
	d, err := readDefinitions(files, file, v)
	if err != nil {
		return nil, err
	}
	only, err := d.binding(port)
	if err != nil {
		return nil, err
	}
	c := &contract{file: file, version: v, operations: map[string]*operation{}}
	for _, b := range d.order {
		if !d.bound(b) || only != nil && b != only {
			continue
		}
		seen := map[string]bool{}
		for _, n := range b.all(wsdlNamespace, "operation") {
			name := n.attrs["name"]
			o := d.operation(b, n)
			first, ok := c.operations[name]
			switch {
			case !ok:
				c.operations[name] = o
			case seen[name]:
				first.unknown = fmt.Sprintf("one name for two operations, overloaded at %s", n.place())
			case first.meaning != o.meaning:
				first.ports = append(first.ports, b.attrs["name"])
			}
			seen[name] = true
		}
	}
	if len(c.operations) == 0 {
		what := file + ": the file has no SOAP " + v.name + " binding with operations"
		if d.others {
			what += `; it has one of SOAP ` + v.other().name + `: write version: "` + v.other().name + `"`
		}
		return nil, errors.New(what)
	}
	return c, nil
}

// transports are the names of HTTP in a binding.
var transports = []string{"", "http://schemas.xmlsoap.org/soap/http", "http://schemas.xmlsoap.org/soap/http/", "http://www.w3.org/2003/05/soap/bindings/HTTP/", "http://schemas.xmlsoap.org/wsdl/soap/http"}

// operation reads what a binding says of an operation, and what its portType does.
func (d *definitions) operation(b, n *node) *operation {
	binding := b.one(d.version.binding, "binding")
	bound := n.one(d.version.binding, "operation")
	soap := gowsdl.WSDLSOAPOperation{SOAPAction: bound.attrs["soapAction"], Style: bound.attrs["style"]}
	if soap.Style == "" {
		soap.Style = binding.attrs["style"]
	}
	o := &operation{name: n.attrs["name"], action: soap.SOAPAction, ports: []string{b.attrs["name"]}}
	refuse := func(what string, at *node) *operation {
		o.unknown = what + " (" + at.place() + ")"
		o.meaning = o.unknown
		return o
	}
	if t := binding.attrs["transport"]; !slices.Contains(transports, t) {
		return refuse("the transport "+bounded(t)+", which is not HTTP", binding)
	}
	if strings.ContainsFunc(o.action, func(r rune) bool { return r < ' ' || r == 0x7f || r == '"' }) {
		return refuse("a soapAction that no header of HTTP can carry", bound)
	}
	if soap.Style == "rpc" && !isLocalName(o.name) {
		return refuse("an operation whose name is none, "+bounded(o.name), n)
	}
	portType := lookup(d.portTypes, b, b.attrs["type"])
	if portType == nil {
		return refuse("the portType "+bounded(b.attrs["type"])+" that is declared nowhere", b)
	}
	port, many := abstract(portType, n)
	switch {
	case port == nil:
		return refuse("an operation that its portType does not have", n)
	case many:
		return refuse("one name for two operations of the portType", port)
	case port.one(wsdlNamespace, "input").missing():
		return refuse("an operation that begins with the HIS (it has no input)", port)
	}
	for _, child := range port.children {
		if child.is(wsdlNamespace, "output") {
			return refuse("an operation that begins with the HIS (its output comes first)", port)
		} else if child.is(wsdlNamespace, "input") {
			break
		}
	}
	in, out := port.one(wsdlNamespace, "input"), port.one(wsdlNamespace, "output")
	o.oneWay = out.missing()
	o.addressed = d.addressed(port, in, portType, o)
	for _, child := range b.children {
		must := child.name.Local == "UsingAddressing" && isTrue(child.others[qname{wsdlNamespace, "required"}])
		o.mustAddress = o.mustAddress || must
	}
	o.parameters(d, soap.Style, n, in)
	if !o.oneWay {
		o.results(d, soap.Style, n, out)
	}
	return o
}

// abstract finds the operation of the portType that a binding means; where
// several have the name, the names of their inputs tell them apart.
func abstract(portType, bound *node) (found *node, many bool) {
	wanted := bound.one(wsdlNamespace, "input").attrs["name"]
	for _, n := range portType.all(wsdlNamespace, "operation") {
		if n.attrs["name"] != bound.attrs["name"] {
			continue
		}
		if found == nil {
			found = n
			continue
		}
		switch in := n.one(wsdlNamespace, "input").attrs["name"]; {
		case wanted == "" || in == found.one(wsdlNamespace, "input").attrs["name"]:
			many = true
		case in == wanted:
			found = n
		}
	}
	return found, many
}

// parameters reads the input: the body's parts and those that are headers.
func (o *operation) parameters(d *definitions, style string, bound, in *node) {
	direction := bound.one(wsdlNamespace, "input")
	body, at, ok := d.body(direction)
	o.encoded = body.Use == "encoded"
	o.meaning = strings.Join([]string{style, body.Use, body.Namespace, body.Parts, o.action, in.resolve(in.attrs["message"]).String()}, "|")
	parts, message := d.message(in, in.attrs["message"])
	if message == nil {
		o.unknown = "the message " + bounded(in.attrs["message"]) + " that is declared nowhere (" + in.place() + ")"
		return
	}
	inHeader := map[string]bool{}
	direction.walk(func(n *node) {
		if n.is(d.version.binding, "header") {
			o.header(d, n, message, inHeader)
		}
	})
	if !ok {
		o.unknown = "parts that travel as attachments (" + direction.place() + ")"
		return
	}
	if o.encoded && style != "rpc" {
		o.unknown = "the encoded use in document style (" + at.place() + ")"
		return
	}
	parts, o.unknown = chosen(parts, body, at, inHeader)
	if o.unknown != "" {
		return
	}
	if style == "rpc" {
		o.input, o.unknown = d.call(o.name, parts, body, bound, at)
	} else {
		o.input, o.unknown = d.document(parts)
	}
}

// results reads the output. What is not known there matters to nobody: answers
// are read by the names that stand in them.
func (o *operation) results(d *definitions, style string, bound, out *node) {
	body, at, _ := d.body(bound.one(wsdlNamespace, "output"))
	parts, message := d.message(out, out.attrs["message"])
	if message == nil {
		return
	}
	inHeader := map[string]bool{}
	for _, n := range bound.one(wsdlNamespace, "output").all(d.version.binding, "header") {
		if lookup(d.messages, n, n.attrs["message"]) == message {
			inHeader[n.attrs["part"]] = true
		}
	}
	parts, _ = chosen(parts, body, at, inHeader)
	if style == "rpc" {
		o.output, _ = d.call(o.name+"Response", parts, body, bound, at)
		return
	}
	o.output, _ = d.document(parts)
	o.several = len(parts) > 1
}

// chosen are the parts of the body: those that soap:body names, else those that
// no soap:header takes.
func chosen(parts []part, body gowsdl.WSDLSOAPBody, at *node, inHeader map[string]bool) ([]part, string) {
	var found []part
	if _, named := at.attrs["parts"]; !named {
		for _, p := range parts {
			if !inHeader[p.Name] {
				found = append(found, p)
			}
		}
		return found, ""
	}
	for _, name := range strings.Fields(body.Parts) {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.Name == name }) {
			return nil, "the part " + name + " that its message does not have (" + at.place() + ")"
		}
	}
	for _, p := range parts {
		if slices.Contains(strings.Fields(body.Parts), p.Name) {
			found = append(found, p)
		}
	}
	return found, ""
}

func (o *operation) header(d *definitions, n, message *node, inHeader map[string]bool) {
	h := gowsdl.WSDLSOAPHeader{Message: n.attrs["message"], Part: n.attrs["part"], Use: n.attrs["use"], Namespace: n.attrs["namespace"]}
	parts, m := d.message(n, h.Message)
	if m == message {
		inHeader[h.Part] = true
	}
	for _, p := range parts {
		if p.Name != h.Part {
			continue
		}
		var e *element
		if p.Element != "" {
			e, _ = d.element(p)
		} else if e, _ = d.typed(p); e != nil {
			e.namespace = h.Namespace
		}
		if e != nil {
			o.headers = append(o.headers, e)
		}
	}
}

// call is the wrapper of the rpc style: named after the operation, in the
// namespace of the binding, around the parts of the message, which have none.
func (d *definitions) call(name string, parts []part, body gowsdl.WSDLSOAPBody, bound, at *node) (*element, string) {
	t := &typ{name: name, complex: true}
	for _, p := range parts {
		e, unknown := d.typed(p)
		if e == nil {
			return nil, unknown
		}
		t.content = append(t.content, particle{kind: oneElement, element: e, min: 1, max: 1})
	}
	namespace := body.Namespace
	if _, ok := at.attrs["namespace"]; !ok {
		namespace = d.target(bound)
	}
	return &element{name: name, namespace: namespace, min: 1, max: 1, typ: t.complete(), at: at.place()}, ""
}

// target is the namespace of the file in which something stands.
func (d *definitions) target(n *node) string {
	if root := d.sources.roots[n.file]; root != nil {
		return root.attrs["targetNamespace"]
	}
	return ""
}

// document is what a body of the document style has: one element, the wrapper
// of the parameters, or any other elements side by side.
func (d *definitions) document(parts []part) (*element, string) {
	t := &typ{complex: true}
	for _, p := range parts {
		read := d.element
		if p.Element == "" {
			read = d.typed // stacks write an element of the part's name, in no namespace
		}
		e, unknown := read(p)
		if e == nil {
			return nil, unknown
		}
		if len(parts) == 1 && e.typ.complex {
			return e, ""
		}
		t.content = append(t.content, particle{kind: oneElement, element: e, min: 1, max: 1})
	}
	return &element{min: 1, max: 1, typ: t.complete()}, ""
}

// find gives an operation that can be called.
func (c *contract) find(name string) (*operation, error) {
	o, ok := c.operations[name]
	if !ok {
		names := slices.Sorted(maps.Keys(c.operations))
		what := "there are " + joinedValues(names)
		if near := option.Near(name, names); len(near) > 0 {
			what = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return nil, fmt.Errorf("%s has no operation %s; %s", c.file, name, what)
	}
	if len(o.ports) > 1 {
		return nil, fmt.Errorf("operation %s of %s is bound in several ways; write port: with one of %s", name, c.file, strings.Join(o.ports, ", "))
	}
	if o.unknown != "" {
		return nil, fmt.Errorf("operation %s of %s uses %s, which is not supported", name, c.file, o.unknown)
	}
	if u := o.input.typ.unknown; u != "" {
		return nil, fmt.Errorf("the parameters of %s in %s use %s, which is not supported", name, c.file, u)
	}
	for _, e := range o.input.typ.all {
		if o.input.typ.needed[e.name] && e.typ.unknown != "" {
			return nil, fmt.Errorf("the parameter %s of %s in %s uses %s, which is not supported", e.name, name, c.file, e.typ.unknown)
		}
	}
	return o, nil
}

func (c *contract) uses(namespace string) bool {
	for _, o := range c.operations {
		if o.input != nil && o.input.namespace == namespace {
			return true
		}
	}
	return false
}

func (o *operation) shape() core.Shape {
	s := core.Shape{Operation: o.name, Parameters: o.input.typ.parameters(describeDepth)}
	if _, alone := o.output.alone(); o.output != nil && !alone { // the answer of a lone element is its text
		s.Results = o.output.typ.parameters(describeDepth)
	}
	return s
}
